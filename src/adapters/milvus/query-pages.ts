import { strong } from './generation-collection.js';
import type { MilvusConnection } from './milvus-client.js';
import type { StoredRow } from './stored-rows.js';

/**
 * Pages of rows in the order of their keys. Each page starts after the last key of the one before, so that rows written
 * meanwhile neither hide nor repeat others (the client's own iterator ends after as many rows as it counted at first).
 * @param of.range first key, and the one past the last
 */
export async function* queryPages<Field extends keyof StoredRow>(
  { ask }: MilvusConnection,
  of: {
    collection: string;
    where?: string;
    range?: readonly [string, string];
    fields: readonly Field[];
    size: number;
  },
): AsyncGenerator<Pick<StoredRow, Field | 'pk'>[], undefined> {
  const [first, end] = of.range ?? ['', undefined];
  const limits = [
    ...(of.where === undefined ? [] : [of.where]),
    ...(end === undefined ? [] : [`pk < "${end}"`]),
  ];
  let from = `pk >= "${first}"`;
  for (;;) {
    const { data } = await ask((client) =>
      client.query({
        collection_name: of.collection,
        filter: [from, ...limits].join(' and '),
        output_fields: [...of.fields],
        limit: of.size,
        // Without these a page is any rows, in any order.
        params: { iterator: 'True', reduce_stop_for_best: 'True' },
        ...strong,
      }),
    );
    const page = data as Pick<StoredRow, Field | 'pk'>[];
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    from = `pk > "${last.pk}"`;
  }
}
