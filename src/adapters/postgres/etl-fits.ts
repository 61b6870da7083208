import { PlatformError } from '../../domain/errors.js';
import { fitEmbedderStart } from '../../domain/etl/reembed-contract.js';
import type { FitLedger } from '../../domain/etl/reembed.js';
import type { SqlRow, Tx } from './database.js';
import { generationData } from './etl-collections.js';
import type { GatePlan } from './etl-reembeds.js';
import {
  all,
  bounded,
  optional,
  readJson,
  sealed,
  type ChunkPath,
  type LedgerParts,
} from './etl-rows.js';
import { mutate } from './mutate.js';
import type { EtlFit } from './generated/client.js';

/** What a fit's generation is made of besides its embedder. */
interface FitPlan {
  dims: number;
  sink: string;
  lexicalSink?: string | undefined;
  gate: GatePlan;
  requestedBy: string;
}

const about = (fitId: string) => ({ type: 'fit', id: fitId });

const PAGE_DOCUMENTS = 256;

/** Searchable documents of a collection, in order of their id. */
const documents = `
  select d.doc_id, d.live_rev as rev, r.text_enc, l.paths_enc, l.text_hashes, l.starts, l.ends
  from (select doc_id, live_rev from etl_document
    where tenant_id = $1 and collection_id = $2 and doc_id > $3 and live_rev is not null and deleted_at is null
      and hidden_reason is null order by doc_id limit $4) d
  join etl_revision r on r.tenant_id = $1 and r.doc_id = d.doc_id and r.rev = d.live_rev
  join etl_chunk_list l on l.tenant_id = $1 and l.doc_id = d.doc_id and l.rev = d.live_rev order by d.doc_id`;

const countChunks = `
  select coalesce(sum(cardinality(l.chunk_ids)), 0)::int as chunks from etl_document d
  join etl_chunk_list l on l.tenant_id = $1 and l.doc_id = d.doc_id and l.rev = d.live_rev
  where d.tenant_id = $1 and d.collection_id = $2 and d.deleted_at is null and d.hidden_reason is null`;

/** Whether a text is in a sample of this share: by its hash, so that equal texts give equal samples. */
const isSampled = (textHash: string, share: number): boolean =>
  parseInt(textHash.slice(-8), 16) / 2 ** 32 < share;

/** The embedded texts of the sampled chunks of one document. */
async function textsOf(
  parts: LedgerParts,
  of: { tenant: string; share: number },
  row: SqlRow,
): Promise<string[]> {
  const { tenant, share } = of;
  const hashes = row.text_hashes as string[];
  const wanted = hashes.map((hash) => share >= 1 || isSampled(hash, share));
  if (row.text_enc === null || row.paths_enc === null || !wanted.includes(true)) return [];
  const key = { tenant, docId: String(row.doc_id), rev: Number(row.rev) };
  const { decrypt } = parts.cipher;
  const text = await decrypt(sealed.revision('text_enc', key), row.text_enc as Buffer);
  const paths = await decrypt(sealed.paths(key), row.paths_enc as Buffer);
  const [whole, starts, ends] = [
    text.toString('utf8'),
    row.starts as number[],
    row.ends as number[],
  ];
  return readJson<ChunkPath[]>(paths).flatMap(([, lead, isWhole], at) => {
    if (wanted[at] !== true) return [];
    return [isWhole === 1 ? lead : lead + whole.slice(starts[at], ends[at])];
  });
}

async function* chunkTexts(
  parts: LedgerParts,
  tenant: string,
  { collectionId, maxTexts }: { collectionId: string; maxTexts: number },
): AsyncIterable<string> {
  const [count] = await parts.db.batch(tenant, (query) =>
    query(countChunks, [tenant, collectionId]),
  );
  const share = maxTexts / Math.max(1, Number(count?.chunks ?? 0));
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const values = [tenant, collectionId, after, PAGE_DOCUMENTS];
    const rows = await parts.db.batch(tenant, (query) => bounded(query, documents, values));
    for (const texts of await all(rows, (row) => textsOf(parts, { tenant, share }, row)))
      yield* texts;
    if (rows.length < PAGE_DOCUMENTS) return;
    after = String(rows.at(-1)?.doc_id);
  }
}

async function lockFit(tx: Tx, tenant: string, fitId: string): Promise<EtlFit> {
  await tx.$queryRaw`select 1 from etl_fit where tenant_id = ${tenant} and fit_id = ${fitId} for update`;
  const row = await tx.etlFit.findUnique({
    where: { tenantId_fitId: { tenantId: tenant, fitId } },
  });
  if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such fit.');
  return row;
}

const codeOf = (outcome: unknown): string | undefined =>
  optional((outcome as { code?: unknown } | null)?.code);

const beginFit =
  ({ db }: LedgerParts): FitLedger['beginFit'] =>
  async (caller, fitId) => {
    const { tenant } = caller;
    const { body } = await mutate(db, caller, async (tx) => {
      const { embedder, state } = await lockFit(tx, tenant, fitId);
      const start = fitEmbedderStart({ tenant, fitId, embedder });
      return {
        status: 200,
        body: start,
        starts: state === 'RUNNING' ? [start] : [],
        audit: { action: 'etl.fit-begun', resource: about(fitId), after: { embedder } },
      };
    });
    return body;
  };

/** DONE, and the generation it was made for, in one transaction: a generation without its fingerprint never exists. */
const completeFit =
  ({ db }: LedgerParts): FitLedger['completeFit'] =>
  async (caller, fitId, fitted) => {
    const { tenant } = caller;
    await mutate(db, caller, async (tx) => {
      const row = await lockFit(tx, tenant, fitId);
      const { artifactRef, artifactDigest, embedFp, ...figures } = fitted;
      const { collectionId, generationId, embedder } = row;
      if (row.state === 'RUNNING') {
        const plan = row.plan as unknown as FitPlan;
        await tx.etlFit.update({
          where: { tenantId_fitId: { tenantId: tenant, fitId } },
          data: {
            ...{ state: 'DONE', artifactRef, artifactDigest, outcome: figures },
            endedAt: new Date(),
          },
        });
        await tx.etlGeneration.create({
          data: {
            ...{ tenantId: tenant, generationId, collectionId, state: 'BUILDING' },
            ...generationData({
              ...{ embedder, embedFp, dims: plan.dims, sink: plan.sink },
              lexicalSink: plan.lexicalSink,
              embedSpec: { fitId, artifactRef, artifactDigest },
            }),
            gate: { ...plan.gate },
            createdBy: plan.requestedBy,
          },
        });
      }
      return {
        status: 200,
        body: {},
        audit: {
          action: 'etl.fit-completed',
          resource: { ...about(fitId), digest: artifactDigest },
          after: { collectionId, generationId, embedFp, ...figures },
        },
      };
    });
  };

const failFit =
  ({ db }: LedgerParts): FitLedger['failFit'] =>
  async (caller, fitId, code) => {
    const { tenant } = caller;
    await mutate(db, caller, async (tx) => {
      await tx.etlFit.updateMany({
        where: { tenantId: tenant, fitId, state: 'RUNNING' },
        data: { state: 'FAILED', outcome: { code }, endedAt: new Date() },
      });
      return {
        status: 200,
        body: {},
        audit: { action: 'etl.fit-failed', resource: about(fitId), after: { code } },
      };
    });
  };

/** Fits of embedders (role anneal_worker). */
export const createEtlFits = (parts: LedgerParts): FitLedger => ({
  beginFit: beginFit(parts),
  readFit: (tenant, fitId) =>
    parts.db.withTenant(tenant, async (tx) => {
      const where = { tenantId_fitId: { tenantId: tenant, fitId } };
      const row = await tx.etlFit.findUnique({ where });
      if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such fit.');
      const { embedder, collectionId, outcome } = row;
      const state = row.state as 'RUNNING' | 'DONE' | 'FAILED';
      return { state, embedder, collectionId, code: codeOf(outcome) };
    }),
  chunkTexts: (tenant, of) => chunkTexts(parts, tenant, of),
  completeFit: completeFit(parts),
  failFit: failFit(parts),
});
