import { PlatformError } from '../../domain/errors.js';
import type { Caller, Change } from '../../domain/events/change.js';
import type { GenerationFacts } from '../../domain/etl/ledger.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import { generationFacts } from './retrieval.js';

const SAMPLES = 200;
const PRINCIPALS = 1_000;

/** One row of a document, documents in an order that has nothing to do with what they say. */
const sampleRows = `
  select m.row_ids[1 + abs(hashtext(m.doc_id::text)::bigint) % cardinality(m.row_ids)]::text as row_id
  from etl_manifest m where m.tenant_id = $1 and m.generation_id = $2 and cardinality(m.row_ids) > 0
  order by md5(m.doc_id::text), m.doc_id limit ${SAMPLES}`;

const principals = `
  select distinct a as principal from etl_document d cross join lateral unnest(d.acl) a
  where d.tenant_id = $1 and d.collection_id = $2 and d.deleted_at is null order by a limit ${PRINCIPALS}`;

function pack(vectors: readonly Float32Array[]): Buffer<ArrayBuffer> {
  const dims = vectors[0]?.length ?? 0;
  const bytes = Buffer.alloc(vectors.length * dims * 4);
  vectors.forEach((vector, row) =>
    vector.forEach((value, at) => bytes.writeFloatLE(value, (row * dims + at) * 4)),
  );
  return bytes;
}

const unpack = (bytes: Uint8Array, dims: number): Float32Array[] => {
  const view = Buffer.from(bytes);
  return Array.from({ length: view.length / 4 / dims }, (_, row) =>
    Float32Array.from({ length: dims }, (_value, at) => view.readFloatLE((row * dims + at) * 4)),
  );
};

interface Probe {
  vectors: readonly Float32Array[];
  recallBp: number;
  low: boolean;
}

async function saveProbe(
  tx: Tx,
  { caller, generationId, probe }: { caller: Caller; generationId: string; probe: Probe },
): Promise<Change<{ lowInARow: number }>> {
  const { tenant } = caller;
  const { recallBp, low } = probe;
  const where = { tenantId_generationId: { tenantId: tenant, generationId } };
  const before = await tx.retrievalProbe.findUnique({ where });
  const lowInARow = low ? (before?.lowInARow ?? 0) + 1 : 0;
  const data = { vectors: pack(probe.vectors), recallBp, lowInARow, probedAt: new Date() };
  await tx.retrievalProbe.upsert({
    where,
    create: { tenantId: tenant, generationId, ...data },
    update: data,
  });
  const facts = { generationId, recallBp, lowInARow };
  const event = {
    type: 'anneal.retrieval.recall_low.v1',
    subject: `generations/${generationId}`,
    data: facts,
  };
  return {
    status: 200,
    body: { lowInARow },
    events: low ? [event] : [],
    audit: {
      action: 'retrieval.recall-probed',
      resource: { type: 'generation', id: generationId },
      after: facts,
    },
  };
}

/** Probes of the recall of indexes (role anneal_worker). */
export const createRetrievalProbes = (db: Database) => ({
  /** @throws NOT_FOUND where the generation is dropped */
  findProbe: async (
    tenant: string,
    generationId: string,
  ): Promise<{
    generation: GenerationFacts;
    vectors: Float32Array[];
    sampleRowIds: string[];
    principals: string[];
  }> => {
    const found = await db.withTenant(tenant, async (tx) => ({
      generation: await tx.etlGeneration.findUnique({
        where: { tenantId_generationId: { tenantId: tenant, generationId } },
      }),
      probe: await tx.retrievalProbe.findUnique({
        where: { tenantId_generationId: { tenantId: tenant, generationId } },
      }),
    }));
    if (found.generation === null || found.generation.state === 'DROPPED')
      throw new PlatformError('NOT_FOUND', 'There is no such generation.');
    const generation = generationFacts(found.generation);
    const [rows, tokens] = await db.batch(tenant, async (query) => [
      await query(sampleRows, [tenant, generationId]),
      await query(principals, [tenant, generation.collectionId]),
    ]);
    return {
      generation,
      vectors: found.probe === null ? [] : unpack(found.probe.vectors, generation.dims),
      sampleRowIds: (rows ?? []).map((row) => String(row.row_id)),
      principals: (tokens ?? []).map((row) => String(row.principal)),
    };
  },
  /** Keeps vectors and result; answers how often in a row it was low. */
  saveProbe: async (
    caller: Caller,
    generationId: string,
    probe: Probe,
  ): Promise<{ lowInARow: number }> =>
    (await mutate(db, caller, (tx) => saveProbe(tx, { caller, generationId, probe }))).body,
});
