import type { Caller } from '../../domain/events/change.js';
import type { Database, SqlRow } from './database.js';
import { mutate } from './mutate.js';

type Vectors = readonly (Float32Array | undefined)[];

/** All vectors after each other, little-endian float32; zeros where there was nothing to embed. */
function pack(vectors: Vectors, dims: number): Buffer {
  const bytes = Buffer.alloc(vectors.length * dims * 4);
  vectors.forEach((vector, row) =>
    vector?.forEach((value, at) => bytes.writeFloatLE(value, (row * dims + at) * 4)),
  );
  return bytes;
}

function unpack(bytes: Buffer, dims: number): (Float32Array | undefined)[] {
  return Array.from({ length: bytes.length / 4 / dims }, (_, row) => {
    const vector = new Float32Array(dims);
    for (let at = 0; at < dims; at++) vector[at] = bytes.readFloatLE((row * dims + at) * 4);
    return vector.some((value) => value !== 0) ? vector : undefined;
  });
}

/** What embedders answered to the canary texts, and the drift of their generations (role anneal_worker). */
export const createEtlCanaries = (db: Database) => ({
  findCanaries: (tenant: string, embedFp: string, dims: number): Promise<Vectors | undefined> =>
    db.batch(tenant, async (query) => {
      const [row] = await query(
        `select vectors from etl_canary where tenant_id = $1 and embed_fp = $2`,
        [tenant, embedFp],
      );
      return row === undefined ? undefined : unpack(row.vectors as Buffer, dims);
    }),
  saveCanaries: (
    tenant: string,
    embedFp: string,
    canaries: { dims: number; vectors: Vectors },
  ): Promise<void> =>
    db.batch(tenant, async (query) => {
      await query(
        `insert into etl_canary (tenant_id, embed_fp, vectors) values ($1, $2, $3) on conflict do nothing`,
        [tenant, embedFp, pack(canaries.vectors, canaries.dims)],
      );
    }),
  settleCanaries: async (
    caller: Caller,
    embedFp: string,
    verdict: { drifted: boolean; lowest: number; positions: number[] },
  ): Promise<void> => {
    const { tenant } = caller;
    const { drifted } = verdict;
    await mutate(db, caller, async (tx) => {
      await tx.$executeRaw`update etl_canary set checked_at = now()
        where tenant_id = ${tenant} and embed_fp = ${embedFp}`;
      const moved = await tx.$queryRaw<SqlRow[]>`
        update etl_generation set drifted_at = case when ${drifted} then now() end, updated_at = now()
        where tenant_id = ${tenant} and embed_fp = ${embedFp} and state <> 'DROPPED'
          and (drifted_at is not null) <> ${drifted} returning generation_id`;
      if (moved.length === 0) return { status: 200, body: {}, audit: [] };
      const generationIds = moved.map((row) => String(row.generation_id));
      const lowest = Number.isNaN(verdict.lowest) ? null : verdict.lowest;
      const name = drifted ? 'embedder_drifted' : 'embedder_recovered';
      return {
        status: 200,
        body: {},
        events: generationIds.map((generationId) => ({
          type: `anneal.etl.${name}.v1`,
          subject: `generations/${generationId}`,
          data: { generationId, embedFp, lowestCosine: lowest, texts: verdict.positions.length },
        })),
        audit: {
          action: `etl.${name.replace('_', '-')}`,
          resource: { type: 'embedder', id: embedFp },
          after: { generationIds, lowestCosine: lowest, positions: verdict.positions },
        },
      };
    });
  },
});
