import type { Ledger } from '../../domain/etl/ledger.js';
import { simhashBands } from '../../domain/etl/simhash.js';
import type { Database, Query } from './database.js';

/** Candidates looked at per band: a band that thousands share says little. */
const PER_BAND = 64;

const nearest = `
  select distinct on (i.doc_id) i.doc_id, c.doc_id as near, bit_count((c.simhash # i.simhash)::bit(64))::int as distance
  from unnest($3::uuid[], $4::bigint[], $5::int[]) as i(doc_id, simhash, band)
  cross join lateral (
    select b.doc_id, b.simhash from etl_simhash_band b
    where b.tenant_id = $1 and b.collection_id = $2 and b.band = i.band limit $6) as c
  where c.doc_id <> i.doc_id and bit_count((c.simhash # i.simhash)::bit(64)) <= 3
  order by i.doc_id, distance, c.doc_id`;

/** A simhash that comes or goes with a commit. */
export interface SimhashMove {
  docId: string;
  collectionId: string;
  before: bigint | undefined;
  after: bigint | undefined;
}

const bandsOf = (simhash: bigint | undefined): number[] =>
  simhash === undefined || simhash === 0n ? [] : simhashBands(simhash);

/** Keeps the bands of live revisions; what stays as it was is not written. */
export async function moveSimhashes(
  query: Query,
  tenant: string,
  moves: readonly SimhashMove[],
): Promise<void> {
  const changed = moves.filter(({ before, after }) => before !== after);
  const gone = changed.flatMap(({ docId, collectionId, before }) =>
    bandsOf(before).map((band) => ({ docId, collectionId, band })),
  );
  if (gone.length > 0)
    await query(
      `delete from etl_simhash_band b using unnest($2::text[], $3::int[], $4::uuid[]) as i(collection_id, band, doc_id)
       where b.tenant_id = $1 and b.collection_id = i.collection_id and b.band = i.band and b.doc_id = i.doc_id`,
      [
        tenant,
        gone.map(({ collectionId }) => collectionId),
        gone.map(({ band }) => band),
        gone.map(({ docId }) => docId),
      ],
    );
  const come = changed.flatMap(({ docId, collectionId, after }) =>
    bandsOf(after).map((band) => ({ docId, collectionId, band, simhash: String(after) })),
  );
  if (come.length === 0) return;
  await query(
    `insert into etl_simhash_band (tenant_id, collection_id, band, doc_id, simhash)
     select $1, i.collection_id, i.band, i.doc_id, i.simhash
     from unnest($2::text[], $3::int[], $4::uuid[], $5::bigint[]) as i(collection_id, band, doc_id, simhash)
     on conflict (tenant_id, collection_id, band, doc_id) do nothing`,
    [
      tenant,
      come.map(({ collectionId }) => collectionId),
      come.map(({ band }) => band),
      come.map(({ docId }) => docId),
      come.map(({ simhash }) => simhash),
    ],
  );
}

/** Which live documents say nearly the same (etl.md §8, flag `near_duplicate`). */
export const createEtlNearDuplicates = ({
  db,
}: {
  db: Database;
}): Pick<Ledger, 'findNearDuplicates'> => ({
  findNearDuplicates: (tenant, collectionId, documents) =>
    db.batch(tenant, async (query) => {
      const asked = documents.flatMap(({ docId, simhash }) =>
        bandsOf(simhash).map((band) => ({ docId, simhash: String(simhash), band })),
      );
      const rows = await query(nearest, [
        tenant,
        collectionId,
        asked.map(({ docId }) => docId),
        asked.map(({ simhash }) => simhash),
        asked.map(({ band }) => band),
        PER_BAND,
      ]);
      return new Map(
        rows.map((row) => [
          String(row.doc_id),
          { docId: String(row.near), distance: Number(row.distance) },
        ]),
      );
    }),
});
