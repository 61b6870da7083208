import type { ChildProcess } from 'node:child_process';
import { isErrorCode, PlatformError } from '../../domain/errors.js';
import type { FitAnswer, FitJob, FittedLsa } from './fit-protocol.js';

/** Entry of the fitting process, for the injected `startChild`. */
const fitLsaEntry = new URL('./fit-lsa.child', import.meta.url);

/**
 * Fits `lsa` v2 in a child process: texts from a spool file (one JSON string a line), artifact bytes into
 * `artifactFile`, synced. Equal texts and seed give equal bytes, whatever the order of the lines. An abort kills the
 * process. Failures: EMBEDDER_MISCONFIGURED (nothing to fit), INTERNAL (the process failed).
 */
export const createLsaFitter =
  (startChild: (entry: URL, data: unknown) => ChildProcess) =>
  (job: FitJob, signal: AbortSignal): Promise<FittedLsa> =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const child = startChild(fitLsaEntry, job);
      let answer: FitAnswer | undefined;
      const abort = () => {
        child.kill('SIGKILL');
      };
      signal.addEventListener('abort', abort, { once: true });
      const fail = (message: string, internal?: string) =>
        reject(new PlatformError('INTERNAL', message, { internal }));
      child.once('message', (message) => {
        answer = message as FitAnswer;
      });
      child.once('error', (error) => fail('the fitting process failed', error.message));
      child.once('exit', (code, by) => {
        signal.removeEventListener('abort', abort);
        if (signal.aborted) {
          reject(new Error('the fit was stopped', { cause: signal.reason }));
        } else if (answer === undefined) {
          fail('the fitting process died', `code ${code}, signal ${by}`);
        } else if ('fitted' in answer) {
          resolve(answer.fitted);
        } else {
          const errorCode = isErrorCode(answer.code) ? answer.code : 'INTERNAL';
          reject(new PlatformError(errorCode, answer.message));
        }
      });
    });
