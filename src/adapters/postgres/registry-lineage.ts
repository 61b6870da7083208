import type { Lineage, LineageQuery } from '../../domain/registry/lineage.js';
import type { Database } from './database.js';

/** Edges of one answer. */
const MAX_EDGES = 1_000;

/** The lineage graph as it is read. */
export const createLineageStore = (db: Database) => ({
  /** Edges within `depth` of a node, nearest first, at most 1,000; none where nothing is known of it. */
  findLineage: (tenant: string, query: LineageQuery): Promise<Lineage> =>
    db.withTenant(tenant, async (tx) => {
      const { node, direction, depth } = query;
      const up = direction !== 'downstream';
      const down = direction !== 'upstream';
      const rows = await tx.$queryRaw<
        { from_node: string; relation: string; to_node: string; at: Date }[]
      >`
        with recursive reach(node, depth) as (
          select ${node}::text, 0
          union
          select case when e.from_node = r.node then e.to_node else e.from_node end, r.depth + 1
          from reach r join lineage_edge e on e.tenant_id = ${tenant}
            and ((${up}::boolean and e.from_node = r.node) or (${down}::boolean and e.to_node = r.node))
          where r.depth < ${depth})
        select e.from_node, e.relation, e.to_node, e.at
        from reach r join lineage_edge e on e.tenant_id = ${tenant}
          and ((${up}::boolean and e.from_node = r.node) or (${down}::boolean and e.to_node = r.node))
        where r.depth < ${depth}
        group by e.from_node, e.relation, e.to_node, e.at
        order by min(r.depth), e.at, e.from_node, e.relation, e.to_node
        limit ${MAX_EDGES + 1}`;
      const edges = rows.slice(0, MAX_EDGES).map((row) => ({
        from: row.from_node,
        relation: row.relation,
        to: row.to_node,
        at: row.at.toISOString(),
      }));
      return { node, edges, truncated: rows.length > MAX_EDGES };
    }),
});
