import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createOnnxRuntime,
  type OnnxRuntimeOptions,
} from '../../src/adapters/onnx/create-onnx-runtime.js';
import { startChild } from '../../src/adapters/processes/start-child.js';
import { sha256Hex } from '../../src/domain/digest.js';
import { digestSchema, type Digest } from '../../src/domain/ids.js';

/** A folder of artifacts named by digest, and runtimes that read from it. */
export interface RuntimeHarness {
  /** Writes bytes under their digest. */
  put(bytes: Uint8Array): Digest;
  /** Overwrites the bytes that lie under a digest, whatever theirs is. */
  replace(digest: Digest, bytes: Uint8Array): void;
  /** Digests in the order in which the runtimes asked for them. */
  readonly located: Digest[];
  start(options?: Partial<OnnxRuntimeOptions>): ReturnType<typeof createOnnxRuntime>;
  /** Closes all runtimes and removes the folder. */
  close(): void;
}

/** The digest of an artifact's bytes. */
export const artifactDigest = (bytes: Uint8Array): Digest =>
  digestSchema.parse(`sha256:${sha256Hex(bytes)}`);

/** The environment that tests hand to the processes and threads they start. */
export const testEnvironment: Readonly<Record<string, string | undefined>> = process.env;

/** Starts a child process with the environment of the tests. */
export const startTestChild = (entry: URL, data: unknown) =>
  startChild(entry, { data, env: testEnvironment });

/** An empty folder; close it after the tests. */
export function createRuntimeHarness(): RuntimeHarness {
  const folder = mkdtempSync(join(tmpdir(), 'anneal-artifacts-'));
  const pathOf = (digest: Digest): string => join(folder, digest.slice('sha256:'.length));
  const located: Digest[] = [];
  const runtimes: ReturnType<typeof createOnnxRuntime>[] = [];
  return {
    located,
    put(bytes) {
      const digest = artifactDigest(bytes);
      writeFileSync(pathOf(digest), bytes);
      return digest;
    },
    replace: (digest, bytes) => writeFileSync(pathOf(digest), bytes),
    start(options = {}) {
      const runtime = createOnnxRuntime({
        slots: 1,
        startChild: startTestChild,
        locateArtifact: async (digest) => {
          located.push(digest);
          return pathOf(digest);
        },
        ...options,
      });
      runtimes.push(runtime);
      return runtime;
    },
    close() {
      for (const runtime of runtimes) runtime.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
