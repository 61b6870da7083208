import { z } from 'zod';

/** Kinds of node in the lineage graph. */
const lineageKinds = [
  'source',
  'snapshot',
  'run',
  'version',
  'evaluation',
  'approval',
  'release',
] as const;
type LineageKind = (typeof lineageKinds)[number];

/**
 * The node of a thing: `source/sha256:…`, `snapshot/sha256:…`, `run/trn_…`, `version/credit/7`, `evaluation/evl_…`,
 * `approval/apr_…`, `release/rel_…`.
 */
export const lineageNode = (kind: LineageKind, ...id: (string | number)[]): string =>
  [kind, ...id].join('/');

/** A node as a caller names it. */
const lineageNodeSchema = z
  .string()
  .max(200)
  .regex(new RegExp(`^(${lineageKinds.join('|')})/[^/\\s]+(/[1-9]\\d*)?$`));

/** An edge points from what came into being to what it came from: run → snapshot, version → run. */
const lineageEdgeSchema = z.object({
  from: z.string(),
  relation: z.string(),
  to: z.string(),
  at: z.string(),
});

/** `upstream`: what the node came from; `downstream`: what came from it. `depth` counts edges, 1–10. */
export const lineageQuerySchema = z.strictObject({
  node: lineageNodeSchema,
  direction: z.enum(['upstream', 'downstream', 'both']).default('upstream'),
  depth: z.coerce.number().int().min(1).max(10).default(10),
});
export type LineageQuery = z.infer<typeof lineageQuerySchema>;

/** Edges within reach, nearest first; `truncated` where more than the limit were found. */
export const lineageSchema = z.object({
  node: z.string(),
  edges: z.array(lineageEdgeSchema),
  truncated: z.boolean(),
});
export type Lineage = z.infer<typeof lineageSchema>;
