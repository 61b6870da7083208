import type { ArtifactStore } from '../../domain/artifacts.js';
import { sha256Hex } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import type { VersionPackage } from '../../domain/training/run-facts.js';
import type { TrainedModel } from '../../domain/training/trained-model.js';
import type { CheckpointFiles, RunStore } from './training-deps.js';

/** A run of a tenant. Trainers know a run by `key`, because the ids of two tenants must not meet. */
export interface RunKey {
  tenant: string;
  runId: string;
}
export const jobKey = ({ tenant, runId }: RunKey): string => `${tenant}/${runId}`;

function parseJobKey(key: string): RunKey {
  const [tenant = '', runId = ''] = key.split('/');
  return { tenant, runId };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
const utf8 = (value: unknown): AsyncGenerator<Uint8Array> =>
  once(Buffer.from(JSON.stringify(value)));

async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

/** What a finished training leaves behind for the stages after it. */
export interface TrainedRun {
  model: TrainedModel;
  step: number;
  converged: boolean;
  rows: { training: number; holdout: number };
  usage: { wallClockMs: number; gpuMs: number };
}

/**
 * Files of training runs in the staging area of each run: checkpoints, the trained model, and the package to register.
 * A file is visible whole or not at all.
 */
export function createRunFiles(artifacts: ArtifactStore) {
  const write = async ({ tenant, runId }: RunKey, name: string, value: unknown): Promise<void> => {
    await artifacts.putStaged({ tenantId: tenant, scope: runId, name, body: utf8(value) });
  };
  const read = async <T>({ tenant, runId }: RunKey, name: string): Promise<T | undefined> => {
    const found = await artifacts.findStaged({ tenantId: tenant, scope: runId, name });
    if (found === undefined) return undefined;
    const bytes = await readAll(artifacts.openStream(found.ref));
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as T;
  };
  const needed = async <T>(key: RunKey, name: string): Promise<T> => {
    const value = await read<T>(key, name);
    if (value !== undefined) return value;
    throw new PlatformError('ARTIFACT_CORRUPT', 'A file of the run is missing.', {
      internal: `${jobKey(key)}/${name}`,
    });
  };
  return {
    writeTrained: (key: RunKey, trained: TrainedRun) => write(key, 'trained.json', trained),
    /** The finished training; undefined before its end. */
    findTrained: (key: RunKey) => read<TrainedRun>(key, 'trained.json'),
    readTrained: (key: RunKey) => needed<TrainedRun>(key, 'trained.json'),
    writePackage: (key: RunKey, made: VersionPackage) => write(key, 'package.json', made),
    readPackage: (key: RunKey) => needed<VersionPackage>(key, 'package.json'),
    /** A JSON artifact addressed by content, its digest checked. */
    readJson: async <T>(ref: string): Promise<T> => {
      const bytes = await readAll(artifacts.openStream(ref, { verify: true }));
      return JSON.parse(Buffer.from(bytes).toString('utf8')) as T;
    },
    storeModel: ({ tenant }: RunKey, bytes: Uint8Array) =>
      artifacts.put({ tenantId: tenant, body: once(bytes) }),
  };
}
export type RunFiles = ReturnType<typeof createRunFiles>;

/**
 * Checkpoints as a trainer keeps them: the bytes are stored, then the row is written, then the trainer may name it.
 * @param attemptOf the attempt that a running job belongs to
 */
export const createCheckpointFiles = (
  deps: { artifacts: ArtifactStore; runs: Pick<RunStore, 'recordProgress'> },
  attemptOf: (job: string) => number,
): CheckpointFiles => ({
  saveCheckpoint: async ({ runId: job, step, bytes }) => {
    const { tenant, runId } = parseJobKey(job);
    const { ref } = await deps.artifacts.putStaged({
      tenantId: tenant,
      scope: runId,
      name: `checkpoint-${step}.json`,
      body: once(bytes),
    });
    const checkpoint = { step, ref, sha256: sha256Hex(bytes) };
    await deps.runs.recordProgress(tenant, runId, { attempt: attemptOf(job), checkpoint });
    return checkpoint;
  },
  readCheckpoint: ({ ref }) => readAll(deps.artifacts.openStream(ref)),
});
