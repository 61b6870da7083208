import type { Ledger } from '../../domain/etl/ledger.js';
import type { Database, Query } from './database.js';

/** Candidates looked at per band: a band that thousands share says little. */
const PER_BAND = 64;

/** {@link simhashBands} in SQL: `place × 65536 + value` of band `place`. */
const bandOf = (simhash: string): string =>
  `(place * 65536 + ((${simhash} >> (16 * place)) & 65535))::int`;

const nearest = `
  select distinct on (i.doc_id) i.doc_id, c.doc_id as near, bit_count((c.simhash # i.simhash)::bit(64))::int as distance
  from unnest($3::uuid[], $4::bigint[]) as i(doc_id, simhash)
  cross join generate_series(0, 3) as place
  cross join lateral (
    select b.doc_id, b.simhash from etl_simhash_band b
    where b.tenant_id = $1 and b.collection_id = $2 and b.band = ${bandOf('i.simhash')} limit $5) as c
  where c.doc_id <> i.doc_id and bit_count((c.simhash # i.simhash)::bit(64)) <= 3
  order by i.doc_id, distance, c.doc_id`;

/** A simhash that comes or goes with a commit. */
export interface SimhashMove {
  docId: string;
  collectionId: string;
  before: bigint | undefined;
  after: bigint | undefined;
}

/** Keeps the bands of live revisions; what stays as it was is not written. A text without words has none. */
export async function moveSimhashes(
  query: Query,
  tenant: string,
  moves: readonly SimhashMove[],
): Promise<void> {
  const changed = moves.filter(({ before, after }) => before !== after);
  const values = (which: 'before' | 'after') => {
    const own = changed.filter((move) => (move[which] ?? 0n) !== 0n);
    return [
      tenant,
      own.map(({ collectionId }) => collectionId),
      own.map(({ docId }) => docId),
      own.map((move) => String(move[which])),
    ];
  };
  const isSome = (which: 'before' | 'after') => changed.some((move) => (move[which] ?? 0n) !== 0n);
  if (isSome('before'))
    await query(
      `delete from etl_simhash_band b
       using unnest($2::text[], $3::uuid[], $4::bigint[]) as i(collection_id, doc_id, simhash), generate_series(0, 3) as place
       where b.tenant_id = $1 and b.collection_id = i.collection_id and b.band = ${bandOf('i.simhash')}
         and b.doc_id = i.doc_id`,
      values('before'),
    );
  if (isSome('after'))
    await query(
      `insert into etl_simhash_band (tenant_id, collection_id, band, doc_id, simhash)
       select $1, i.collection_id, ${bandOf('i.simhash')}, i.doc_id, i.simhash
       from unnest($2::text[], $3::uuid[], $4::bigint[]) as i(collection_id, doc_id, simhash)
       cross join generate_series(0, 3) as place order by 2, 3, 4
       on conflict (tenant_id, collection_id, band, doc_id) do nothing`,
      values('after'),
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
      const asked = documents.filter(({ simhash }) => simhash !== 0n);
      const rows = await query(nearest, [
        tenant,
        collectionId,
        asked.map(({ docId }) => docId),
        asked.map(({ simhash }) => String(simhash)),
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
