import type { ArtifactStore } from '../domain/artifacts.js';
import { MINUTE_MS } from '../domain/units.js';
import { createPassLoop, type Loop } from './pass-loop.js';

/** What the sweep asks for. */
interface UploadSweepDeps {
  sweep: ArtifactStore['sweep'];
  /** Age from which the staged bytes of a request belong to nobody, in milliseconds; well above its longest time. */
  uploadMs: number;
  nowMs: () => number;
  log: { info: (facts: object, message: string) => void; warn: UploadSweepDeps['log']['info'] };
}

const INTERVAL_MS = 10 * MINUTE_MS;

/**
 * Removes what killed processes left of uploads, at the start of a process and every 10 minutes. Several processes sweep the
 * same store: an upload of another one that goes on is younger than `uploadMs`.
 */
export const createUploadSweepLoop = (deps: UploadSweepDeps): Loop =>
  createPassLoop({
    intervalMs: INTERVAL_MS,
    pass: async () => {
      const removed = await deps.sweep({ nowMs: deps.nowMs(), uploadMs: deps.uploadMs });
      if (removed > 0) deps.log.info({ removed }, 'uploads that were never answered are removed');
    },
    failed: (error) =>
      deps.log.warn({ reason: String(error) }, 'the sweep of uploads waits for its next pass'),
  });
