import { parentPort, workerData } from 'node:worker_threads';
import { evaluateRows } from '../../domain/evaluation/evaluate-rows.js';
import type { EvaluationInput } from '../../domain/evaluation/evaluation-input.js';

// Thousands of bootstrap resamples take seconds: here they hold up nobody.
parentPort?.postMessage(evaluateRows(workerData as EvaluationInput));
