import type { PreparedRevision, SourceFacts } from '../../domain/etl/ledger.js';
import { nearDuplicateFlag, type NearIndex } from '../../domain/etl/near-duplicates.js';
import type { EtlDeps } from './etl-deps.js';

/**
 * Flags revisions that say nearly what another document of the collection says: one that is committed, else one of the
 * same batch. Nothing is stopped by it. A text without words is like no other.
 */
export async function flagNearDuplicates(
  { ledger }: Pick<EtlDeps, 'ledger'>,
  of: { tenant: string; source: SourceFacts; near: NearIndex },
  revisions: readonly PreparedRevision[],
): Promise<void> {
  const texts = revisions.flatMap(({ docId, simhash = 0n, findings }) =>
    simhash === 0n ? [] : [{ docId, simhash, findings }],
  );
  if (texts.length === 0) return;
  const { tenant, source, near } = of;
  const committed = await ledger.findNearDuplicates(tenant, source.collectionId, texts);
  for (const text of texts) {
    const found = committed.get(text.docId) ?? near.find(text);
    near.add(text);
    if (found === undefined) continue;
    const { flags } = text.findings;
    const known: unknown[] = Array.isArray(flags) ? flags : [];
    text.findings.flags = [...known, nearDuplicateFlag(found)];
  }
}
