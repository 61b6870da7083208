import { createRequire } from 'node:module';
import { createLocalTrainer } from '../adapters/local-trainer/create-local-trainer.js';
import { createOnnxRuntime, type OnnxRuntime } from '../adapters/onnx/create-onnx-runtime.js';
import { startChild, startThread } from '../adapters/processes/start-child.js';
import { childEnv } from '../config.js';
import { PlatformError } from '../domain/errors.js';
import type { Digest } from '../domain/ids.js';
import type { EnvironmentLock } from '../domain/training/contract.js';
import type { CheckpointFiles } from '../activities/training/index.js';
import type { Parts } from './dependencies.js';

/**
 * Path of the bytes with this digest. Artifacts lie under their tenant; equal bytes are equal models, and the runtime
 * checks the digest at each load, so whichever tenant has them will do.
 */
async function locateArtifact({ db, artifacts }: Parts, digest: Digest): Promise<string> {
  for (const tenant of await db.tenants()) {
    const ref = `${tenant}/sha256/${digest.slice('sha256:'.length)}`;
    if ((await artifacts.stat(ref)) !== undefined) return artifacts.getPath(ref);
  }
  throw new PlatformError('ARTIFACT_CORRUPT', 'The artifact is not in the store.', {
    internal: digest,
  });
}

/** The ONNX runtime of this process: child processes, models cached by digest. */
export const createRuntime = (parts: Parts): OnnxRuntime =>
  createOnnxRuntime({
    slots: parts.config.worker.runtimeChildCount,
    startChild: (entry, data) => startChild(entry, { data, env: childEnv() }),
    locateArtifact: (digest) => locateArtifact(parts, digest),
  });

export const createTrainer = (files: CheckpointFiles) =>
  createLocalTrainer({ ...files, startThread: startWorkerThread });

/** A worker thread with this process's environment. */
export const startWorkerThread = (entry: URL, data: unknown) =>
  startThread(entry, { data, env: childEnv() });

const versionOf = (name: string): string => {
  try {
    const manifest = createRequire(import.meta.url)(`${name}/package.json`) as { version?: string };
    return manifest.version ?? 'unknown';
  } catch {
    return 'absent';
  }
};

/** Versions of everything that could change a number of a training run. */
export const environmentLock = (): EnvironmentLock => ({
  node: process.versions.node,
  platform: `${process.platform}-${process.arch}`,
  onnxruntime: versionOf('onnxruntime-node'),
  packages: {
    protobufjs: versionOf('protobufjs'),
    anneal: versionOf('../../package.json'.replace('/package.json', '')),
  },
});
