import type { Worker } from 'node:worker_threads';
import type { EvaluationInput } from '../../domain/evaluation/evaluation-input.js';
import type { EvaluationReport } from '../../domain/evaluation/evaluation-report.js';

/** Entry of the evaluation thread, for the injected `startThread`. */
const evaluateThreadEntry = new URL('./evaluate.thread', import.meta.url);

/** Judges measured rows in a worker thread, because the bootstrap takes seconds. Pure: equal input, equal report. */
export const createLocalEvaluator =
  (startThread: (entry: URL, data: unknown) => Worker) =>
  (input: EvaluationInput, signal: AbortSignal): Promise<EvaluationReport> =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const thread = startThread(evaluateThreadEntry, input);
      const abort = () => {
        void thread.terminate();
        reject(new Error('the evaluation was stopped', { cause: signal.reason }));
      };
      signal.addEventListener('abort', abort, { once: true });
      thread.once('message', (report: EvaluationReport) => resolve(report));
      thread.once('error', reject);
      thread.once('exit', (code) => {
        signal.removeEventListener('abort', abort);
        if (code !== 0) reject(new Error(`the evaluation thread ended with code ${code}`));
      });
    });
