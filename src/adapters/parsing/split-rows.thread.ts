import { parentPort, workerData } from 'node:worker_threads';
import type { RowMode } from '../../domain/etl/rows.js';
import { splitRows } from './parse-csv.js';
import { ParseRefusal } from './parse-refusal.js';
import type { SplitAnswer } from './split-answer.js';

const { bytes, mode } = workerData as { bytes: Uint8Array; mode: RowMode };

const answerOf = (): SplitAnswer => {
  try {
    return { split: splitRows(bytes, mode) };
  } catch (error) {
    if (!(error instanceof ParseRefusal)) throw error;
    return { refused: { reason: error.reason, evidence: { ...error.evidence } } };
  }
};

parentPort?.postMessage(answerOf());
