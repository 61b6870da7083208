import { z } from 'zod';
import type { ChainRow } from '../../domain/audit/chain.js';
import { auditItemSchema, type AuditEntry } from '../../domain/audit/contract.js';
import { counterKey, pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { AuditRouteDeps } from './audit-route-deps.js';
import { chainOf, chainQuery } from './chain-of.js';

const querySchema = z.strictObject({
  ...pageQuery,
  ...chainQuery,
  action: z.string().min(1).max(100).optional(),
  resource: z
    .string()
    .min(1)
    .max(300)
    .optional()
    .meta({ description: '`<type>` or `<type>/<id>`.' }),
  from: z.iso.datetime().optional(),
  to: z.iso.datetime().optional(),
});

function itemOf(row: ChainRow): z.infer<typeof auditItemSchema> {
  const fixed = {
    seq: row.seq,
    at: new Date(Number(row.atMicros / 1000n)).toISOString(),
    hash: Buffer.from(row.hash).toString('hex'),
  };
  try {
    const item = auditItemSchema.safeParse({ ...(JSON.parse(row.entry) as AuditEntry), ...fixed });
    if (item.success) return item.data;
  } catch {
    // Falls through: a tampered entry is shown as it is stored.
  }
  return { ...fixed, unreadable: row.entry };
}

const timeMs = (iso: string | undefined): number | undefined =>
  iso === undefined ? undefined : Date.parse(iso);

/** `GET /v1/audit`: who did what, newest first. */
export const getAudit = (deps: AuditRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/audit',
    operation: 'audit.list',
    summary: 'List audit entries',
    permission: 'audit:read',
    query: querySchema,
    response: { status: 200, schema: pageOf(auditItemSchema), description: 'A page.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { action: 'access.key-issued', limit: 20 } },
    handle: async ({ principal, query }) => {
      const { action, resource, from, to } = query;
      const tenant = chainOf(principal, query.chain);
      const asked = { tenant, action, resource, from, to };
      const filter = JSON.parse(JSON.stringify(asked)) as typeof asked;
      const page = readPage(query, filter, counterKey(Number.MAX_SAFE_INTEGER));
      const rows = await deps.listEntries(
        tenant,
        { action, resource, fromMs: timeMs(from), toMs: timeMs(to) },
        { limit: page.limit + 1, before: page.after },
      );
      const found = rows.map(itemOf);
      const body = writePage(found, page, { filter, keyOf: ({ seq }) => String(seq) });
      return { status: 200, body };
    },
  });
