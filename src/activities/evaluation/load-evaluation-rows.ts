import type { EvaluationFacts, ScoredVersion } from '../../domain/evaluation/contract.js';
import type { LeakCheck } from '../../domain/evaluation/evaluation-report.js';
import { encodeGroups, type ProtectedColumn } from '../../domain/evaluation/protected-column.js';
import type { StoredRow } from '../../domain/datasets/staging.js';
import { PlatformError } from '../../domain/errors.js';
import type { RawRow, RawValue } from '../../domain/training/training-table.js';

/** Reads rows of parts in canonical order. */
export type ReadParts = (parts: readonly { ref: string }[]) => AsyncIterable<StoredRow[]>;

/** The evaluation rows, once in memory: labels, protected groups, and inputs as each version reads them. */
export interface EvaluationRows {
  labels: Uint8Array;
  protectedColumns: ProtectedColumn[];
  digests: string[];
  inputsOf: (version: ScoredVersion) => RawRow[];
}

/** Equal rows that a report lists by digest. */
const LISTED_LEAKS = 100;

const isScalar = (value: unknown): value is RawValue =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value);

/** A protected value as the name of its group. */
const groupOf = (value: unknown): string | null => {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
};

/** @throws EVALUATION_EMPTY where the snapshot has no row */
export async function loadEvaluationRows(
  facts: EvaluationFacts,
  readParts: ReadParts,
): Promise<EvaluationRows> {
  const { contract, parts } = facts.evaluationSnapshot;
  const at = new Map(contract.fields.map(({ name }, index) => [name, index]));
  const { target, classes } = facts.candidate.lineage;
  const rows: StoredRow[] = [];
  for await (const batch of readParts(parts)) rows.push(...batch);
  if (rows.length === 0)
    throw new PlatformError('EVALUATION_EMPTY', 'The evaluation snapshot has no rows.');
  const column = (name: string): StoredRow['values'] => {
    const index = at.get(name) ?? -1;
    return rows.map(({ values }) => values[index] ?? null);
  };
  const declared = (name: string): string[] =>
    (contract.fields.find((field) => field.name === name)?.enum ?? []).map(String);
  return {
    labels: Uint8Array.from(column(target), (value) => (value === classes[1] ? 1 : 0)),
    protectedColumns: facts.asked.protectedAttributes.map((name) =>
      encodeGroups(name, column(name).map(groupOf), declared(name)),
    ),
    digests: rows.map(({ rowDigest }) => rowDigest),
    inputsOf: ({ lineage }) => {
      const features = lineage.features.map((name) => [name, at.get(name) ?? -1] as const);
      return rows.map(({ values }) => {
        const inputs: Record<string, RawValue> = {};
        for (const [name, index] of features) {
          const value = values[index] ?? null;
          inputs[name] = isScalar(value) ? value : null;
        }
        return inputs;
      });
    },
  };
}

/** Evaluation rows that equal a training row, by row digest. */
export async function findLeak(
  facts: EvaluationFacts,
  rows: EvaluationRows,
  readParts: ReadParts,
): Promise<LeakCheck> {
  const trained = new Set<string>();
  for await (const batch of readParts(facts.trainingSnapshot.parts)) {
    for (const { rowDigest } of batch) trained.add(rowDigest);
  }
  const equal = rows.digests.filter((digest) => trained.has(digest));
  return { equalRows: equal.length, listed: equal.slice(0, LISTED_LEAKS) };
}
