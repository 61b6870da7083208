import type { Worker } from 'node:worker_threads';
import { PlatformError } from '../../domain/errors.js';
import type { SplitTable } from '../../domain/etl/rows.js';
import type { SplitAnswer } from './split-answer.js';

const WALL_MS = 60_000;

const refused = (reason: string, evidence: object): PlatformError =>
  new PlatformError('DOCUMENT_REFUSED', 'The table cannot be split into rows.', {
    extensions: { reason, evidence },
  });

/** Splits tables in a thread each, which is ended after a minute. */
export const createRowSplitter =
  (startThread: (entry: URL, data: unknown) => Worker): SplitTable =>
  async (bytes, mode, signal) => {
    signal.throwIfAborted();
    const thread = startThread(new URL('./split-rows.thread', import.meta.url), { bytes, mode });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(WALL_MS)]);
    try {
      const answer = await new Promise<SplitAnswer>((resolve, reject) => {
        thread.once('message', resolve);
        thread.once('error', () => reject(refused('parse_failed', { detail: 'csv' })));
        limit.addEventListener('abort', () =>
          reject(
            signal.aborted
              ? (signal.reason as Error)
              : refused('parse_limit', { limit: 'wall_ms', value: WALL_MS }),
          ),
        );
      });
      if ('refused' in answer) throw refused(answer.refused.reason, answer.refused.evidence);
      return answer.split;
    } finally {
      await thread.terminate();
    }
  };
