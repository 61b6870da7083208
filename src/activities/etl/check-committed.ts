import type { GenerationFacts, OpenWrite } from '../../domain/etl/ledger.js';
import { isSampledCommit } from '../../domain/etl/is-sampled-commit.js';
import { workflowCaller } from '../run-of.js';
import type { EtlDeps, EtlObserver } from './etl-deps.js';

type Violation = { docId: string; kind: Parameters<EtlObserver['violation']>[0] };

/** What is wrong with the store's rows of committed documents. */
async function findViolations(
  deps: Pick<EtlDeps, 'ledger' | 'sink'>,
  of: { tenant: string; generation: GenerationFacts },
  sampled: readonly OpenWrite[],
): Promise<Violation[]> {
  const { tenant, generation } = of;
  const committed = () => deps.ledger.committedRows(tenant, generation.generationId, sampled);
  const manifests = await committed();
  if (manifests.length === 0) return [];
  const byId = new Map(sampled.map((write) => [write.docId, write]));
  const sink = await deps.sink(tenant, generation);
  const ids = manifests.flatMap(({ docId, rowIds }) => [
    ...rowIds,
    ...(byId.get(docId)?.deleteRowIds ?? []),
  ]);
  const step = Math.min(1_000, sink.caps.maxRows);
  const stored = new Map<string, string>();
  for (let at = 0; at < ids.length; at += step)
    for (const row of await sink.fetch(ids.slice(at, at + step))) stored.set(row.rowId, row.docId);
  const found = manifests.flatMap(({ docId, rowIds }): Violation[] => [
    ...rowIds.flatMap((rowId): Violation[] => {
      const owner = stored.get(rowId);
      if (owner === docId) return [];
      return [{ docId, kind: owner === undefined ? 'missing_row' : 'foreign_row' }];
    }),
    ...(byId.get(docId)?.deleteRowIds ?? []).flatMap((rowId): Violation[] =>
      stored.has(rowId) ? [{ docId, kind: 'undeleted_row' }] : [],
    ),
  ]);
  if (found.length === 0) return [];
  // A writer that came meanwhile explains a difference: only what still stands as it was counts.
  const still = new Set((await committed()).map(({ docId }) => docId));
  return found.filter(({ docId }) => still.has(docId));
}

/**
 * W5: compares the store's rows of one commit in a hundred with their manifest. A difference is counted and logged, and
 * starts a reconcile. A check that cannot be made fails nothing: the commit stands.
 */
export async function checkCommitted(
  deps: EtlDeps,
  of: { tenant: string; generation: GenerationFacts },
  writes: readonly OpenWrite[],
): Promise<void> {
  const sampled = writes.filter(({ docId, rev }) => isSampledCommit(docId, rev));
  if (sampled.length === 0) return;
  const { generationId } = of.generation;
  try {
    const violations = await findViolations(deps, of, sampled);
    if (violations.length === 0) return;
    for (const { kind } of violations) deps.observe?.violation(kind);
    deps.log.warn({ generationId, violations }, 'a store does not hold what was committed');
    await deps.ledger.startReconcile(workflowCaller(of.tenant), generationId);
  } catch (error) {
    deps.log.warn({ err: error, generationId }, 'a commit was not compared with its store');
  }
}
