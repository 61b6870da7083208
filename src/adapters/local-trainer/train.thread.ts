import {
  parentPort,
  receiveMessageOnPort,
  workerData,
  type MessagePort,
} from 'node:worker_threads';
import { CHECKPOINT_EVERY_STEPS, startTraining } from '../../domain/training/start-training.js';
import type { StepMetrics, TrainingProcess } from '../../domain/training/training-process.js';
import type { MetricPoint } from '../../domain/training/trainer.js';
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint-bytes.js';
import { STOP, type ThreadMessage, type ThreadStart } from './thread-protocol.js';

const pointsOf = (step: number, metrics: StepMetrics) =>
  Object.entries(metrics).map(([name, value]) => ({ name, step, value }));

/** Works through the steps; between two of them looks, without waiting, whether it shall stop. */
function work(process: TrainingProcess, points: MetricPoint[], port: MessagePort): void {
  const post = (message: ThreadMessage): void => port.postMessage(message);
  const checkpoint = (step: number): void =>
    post({ kind: 'checkpoint', step, bytes: encodeCheckpoint({ state: process.state(), points }) });
  if (points.length > 0) post({ kind: 'step', step: process.state().step, points });
  for (;;) {
    if (receiveMessageOnPort(port)?.message === STOP) {
      const { step } = process.state();
      checkpoint(step);
      return post({ kind: 'stopped', step });
    }
    const outcome = process.next();
    const { step } = outcome;
    if (outcome.kind === 'diverged')
      return post({ kind: 'failed', step, failure: outcome.failure });
    if (outcome.kind === 'finished')
      return post({ kind: 'finished', step, converged: outcome.converged, model: process.model() });
    const added = pointsOf(step, outcome.metrics);
    points.push(...added);
    post({ kind: 'step', step, points: added });
    if (step % CHECKPOINT_EVERY_STEPS === 0) checkpoint(step);
  }
}

const { data, trainer, checkpoint } = workerData as ThreadStart;
const resumed = checkpoint === undefined ? undefined : decodeCheckpoint(checkpoint);
const started = startTraining({ data, trainer, state: resumed?.state });
if (parentPort !== null) {
  if (!started.ok) parentPort.postMessage({ kind: 'failed', step: 0, failure: started.failure });
  // A checkpoint of another trainer version is not gone on from, and neither are its metrics.
  else if (started.process.state().step === resumed?.state.step)
    work(started.process, resumed.points, parentPort);
  else work(started.process, [], parentPort);
}
