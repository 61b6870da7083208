import type { StoredRow } from '../../domain/datasets/staging.js';
import type { DatasetContract } from '../../domain/datasets/dataset-contract.js';
import { PlatformError } from '../../domain/errors.js';
import type { TrainingPlan } from '../../domain/training/contract.js';
import type { RunFacts, RunSnapshot } from '../../domain/training/run-facts.js';
import { splitBucket } from '../../domain/training/split-bucket.js';
import { isHeldOut, partOfBucket, partsByTime } from '../../domain/training/split-plan.js';
import {
  createTableBuilder,
  type FeatureField,
  type FeatureType,
  type RawRow,
  type RawValue,
  type TableBuilder,
  type TrainingTable,
} from '../../domain/training/training-table.js';

/** Reads rows of parts in canonical order. */
export type ReadParts = (parts: readonly { ref: string }[]) => AsyncIterable<StoredRow[]>;

/** A row as a model takes it, and whether its label is the positive class. */
export interface LabelledRow {
  inputs: RawRow;
  positive: boolean;
}

/** Whether the n-th row of the training snapshot is held out. */
type HeldOut = (row: StoredRow, index: number) => boolean;

const isScalar = (value: unknown): value is RawValue =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value);

/** Takes the inputs and the label out of a stored row, whose values are in contract order. */
function rowReader(plan: TrainingPlan, contract: DatasetContract) {
  const at = new Map(contract.fields.map(({ name }, index) => [name, index]));
  const features = plan.features.map((name) => [name, at.get(name) ?? -1] as const);
  const label = at.get(plan.target) ?? -1;
  const [, positiveClass] = plan.classes;
  return ({ values }: StoredRow): LabelledRow => {
    const inputs: Record<string, RawValue> = {};
    for (const [name, index] of features) {
      const value = values[index] ?? null;
      inputs[name] = isScalar(value) ? value : null;
    }
    return { inputs, positive: values[label] === positiveClass };
  };
}

/** The inputs of the model with their types, in contract order. */
const featureFields = (plan: TrainingPlan, contract: DatasetContract): FeatureField[] =>
  plan.features.map((name) => ({
    name,
    type: (contract.fields.find((field) => field.name === name)?.type ?? 'string') as FeatureType,
  }));

async function timeSplit(facts: RunFacts, read: ReadParts): Promise<HeldOut> {
  const { split } = facts.plan;
  const { contract, parts } = facts.snapshot;
  const time = contract.fields.findIndex(({ name }) => name === contract.eventTimeField);
  const rows: { timeMs: number; tie: string }[] = [];
  for await (const batch of read(parts))
    for (const { values, rowDigest } of batch) {
      const timeMs = Date.parse(String(values[time] ?? ''));
      // A row without a time goes before all others: it is never held out as if it were recent.
      rows.push({ timeMs: Number.isNaN(timeMs) ? -Infinity : timeMs, tie: rowDigest });
    }
  const partOf = partsByTime(split.fractionsBp, rows);
  return (_, index) => isHeldOut('time', partOf[index] ?? 0);
}

async function splitOf(facts: RunFacts, read: ReadParts): Promise<HeldOut> {
  const { strategy, fractionsBp, salt } = facts.plan.split;
  switch (strategy) {
    case 'provided':
      return () => false;
    case 'time':
      return timeSplit(facts, read);
    case 'holdout':
    case 'kfold':
      return ({ rowDigest }) =>
        isHeldOut(strategy, partOfBucket(fractionsBp, splitBucket(salt, rowDigest)));
  }
}

async function* rowsOf(
  snapshot: RunSnapshot,
  plan: TrainingPlan,
  how: { read: ReadParts; keep: HeldOut },
): AsyncGenerator<LabelledRow> {
  const toRow = rowReader(plan, snapshot.contract);
  let index = 0;
  for await (const batch of how.read(snapshot.parts))
    for (const row of batch) if (how.keep(row, index++)) yield toRow(row);
}

/** Rows that train, in canonical order. */
export async function* trainingRows(facts: RunFacts, read: ReadParts): AsyncGenerator<LabelledRow> {
  const heldOut = await splitOf(facts, read);
  const keep: HeldOut = (row, index) => !heldOut(row, index);
  yield* rowsOf(facts.snapshot, facts.plan, { read, keep });
}

/** Rows that are held out, in canonical order: of the evaluation snapshot where the split is `provided`. */
export async function* holdoutRows(facts: RunFacts, read: ReadParts): AsyncGenerator<LabelledRow> {
  const { plan, snapshot, evaluationSnapshot } = facts;
  if (plan.split.strategy === 'provided') {
    if (evaluationSnapshot === undefined)
      throw new PlatformError('SPLIT_INVALID', 'A provided split needs an evaluation snapshot.');
    yield* rowsOf(evaluationSnapshot, plan, { read, keep: () => true });
    return;
  }
  yield* rowsOf(snapshot, plan, { read, keep: await splitOf(facts, read) });
}

async function fill(
  builder: TableBuilder,
  rows: AsyncIterable<LabelledRow>,
  signal: AbortSignal,
): Promise<TrainingTable> {
  for await (const { inputs, positive } of rows) {
    signal.throwIfAborted();
    builder.add(inputs, positive);
  }
  const outcome = builder.finish();
  if (outcome.ok) return outcome.table;
  throw new PlatformError(outcome.code, 'The trainer cannot use these rows.', {
    errors: outcome.errors,
  });
}

/**
 * The tables of a run. Reads the snapshot once per table instead of holding its rows.
 * @throws SPLIT_INVALID where a side is empty, TRAINER_INPUT_REFUSED naming the fields
 */
export async function loadTables(
  facts: RunFacts,
  read: ReadParts,
  signal: AbortSignal,
): Promise<{ table: TrainingTable; holdout: TrainingTable }> {
  const fields = featureFields(facts.plan, facts.snapshot.contract);
  const table = await fill(createTableBuilder(fields), trainingRows(facts, read), signal);
  const holdout = await fill(createTableBuilder(fields, table), holdoutRows(facts, read), signal);
  for (const [side, { rowCount }] of Object.entries({ training: table, holdout })) {
    if (rowCount > 0) continue;
    throw new PlatformError('SPLIT_INVALID', `The split leaves no ${side} rows.`, {
      errors: [{ pointer: '/split', code: 'EMPTY', detail: `no ${side} rows` }],
    });
  }
  return { table, holdout };
}
