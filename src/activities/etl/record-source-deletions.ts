import { workflowCaller } from '../run-of.js';
import type { EtlDeps } from './etl-deps.js';

/** How long one look records, well within the time that it may take. The next one goes on. */
const LOOK_MS = 10_000;

/** Records deletions of documents that go with their source, page by page. */
export async function recordSourceDeletions(
  { ledger }: { ledger: Pick<EtlDeps['ledger'], 'deleteSourcePage'> },
  { tenant, sourceId }: { tenant: string; sourceId: string },
): Promise<void> {
  const untilMs = performance.now() + LOOK_MS;
  let after: string | undefined = '';
  while (after !== undefined && performance.now() < untilMs)
    after = await ledger.deleteSourcePage(workflowCaller(tenant), sourceId, after);
}
