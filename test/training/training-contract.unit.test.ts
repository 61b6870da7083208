import { parseDatasetContract } from '../../src/domain/datasets/dataset-contract.js';
import { createProfiler } from '../../src/domain/datasets/profile.js';
import {
  isFinalTrainingState,
  parseTrainingWorkflowId,
  startTrainingSchema,
  trainingStates,
  trainingWorkflowId,
} from '../../src/domain/training/contract.js';
import { checkSnapshotUse, modelContractOf } from '../../src/domain/training/plan-training.js';

const runId = 'trn_01JZ8Q4T5V6W7X8Y9ZABCDEFGH';
const minimal = {
  snapshotId: `sha256:${'a'.repeat(64)}`,
  trainer: { kind: 'logistic' },
  budget: { maxMicroUsd: 0, maxWallClockMs: 1, maxGpuMs: 0 },
};

it('names a run by tenant and id, and reads both back from the name', () => {
  expect(parseTrainingWorkflowId(trainingWorkflowId('acme', runId))).toEqual({
    tenant: 'acme',
    runId,
  });
  for (const other of ['approval/acme/x', `training/acme/${runId}/1`, 'training/acme/evl_1', ''])
    expect(parseTrainingWorkflowId(other)).toBeUndefined();
});

it('calls exactly the five ends final', () => {
  expect(trainingStates.filter((state) => isFinalTrainingState(state))).toEqual([
    'REGISTERED',
    'FAILED',
    'CANCELLED',
    'BUDGET_EXCEEDED',
    'REJECTED_INPUT',
  ]);
});

it('takes no command, image or path in a request', () => {
  expect(startTrainingSchema.safeParse(minimal).success).toBe(true);
  for (const trainer of [
    { kind: 'command', name: 'x', command: 'rm' },
    { kind: 'kubernetes', name: 'x', image: 'y' },
    { kind: 'command', params: {} },
  ])
    expect(startTrainingSchema.safeParse({ ...minimal, trainer }).success).toBe(false);
});

it('lets a snapshot be used only while it is LIVE and for its own purposes', () => {
  const use = { purpose: 'lending', pointer: '/snapshotId' };
  const snapshot = { snapshotId: 'sha256:1', state: 'LIVE', purposes: ['lending'] };
  expect(checkSnapshotUse(snapshot, use)).toBeUndefined();
  expect(checkSnapshotUse({ ...snapshot, purposes: [] }, use)).toMatchObject({
    code: 'PURPOSE_DENIED',
  });
  for (const state of ['STALE_CONSENT', 'TOMBSTONED', 'EXPIRED', 'DELETED'])
    expect(checkSnapshotUse({ ...snapshot, state }, use)).toMatchObject({
      code: 'SNAPSHOT_NOT_LIVE',
      extensions: { state },
    });
});

it('derives a contract that takes no missing number, because these trainers learn nothing for one', () => {
  const parsed = parseDatasetContract({
    fields: [
      { name: 'income', type: 'number', nullable: true },
      { name: 'region', type: 'categorical', nullable: true },
      { name: 'outcome', type: 'categorical', enum: ['bad', 'good'] },
    ],
    label: { field: 'outcome', positive: 'good' },
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  const { contract } = parsed;
  const profiler = createProfiler(contract.fields);
  profiler.add([1, 'north', 'good']);
  profiler.add([2, null, 'bad']);
  const { profile } = profiler.finish();
  const derived = modelContractOf(
    {
      target: 'outcome',
      classes: ['bad', 'good'],
      features: ['income', 'region'],
      protectedAttributes: [],
      useProtected: false,
    },
    { contract, profile },
  );
  expect(derived?.input.fields).toMatchObject([
    { name: 'income', nullable: false },
    { name: 'region', nullable: true, enum: ['north'] },
  ]);
});
