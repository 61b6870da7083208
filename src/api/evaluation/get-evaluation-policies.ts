import { z } from 'zod';
import { policyViewSchema, type PolicyView } from '../../domain/evaluation/contract.js';
import { nameSchema } from '../../domain/ids.js';
import { counterKey, pageOf, pageQuery, readPage, writePage, type Page } from '../paging.js';
import { route } from '../route.js';

export interface GetEvaluationPoliciesDeps {
  listPolicies: (tenant: string, filter: { name?: string }, page: Page) => Promise<PolicyView[]>;
}

/** `<name>@<revision>`. */
const keySchema = z.string().refine((key) => {
  const [name, revision, ...rest] = key.split('@');
  const parts = z.tuple([nameSchema, counterKey()]).safeParse([name, revision]);
  return parts.success && rest.length === 0;
});

/** `GET /v1/evaluation-policies`: by name, newest revision first. */
export const getEvaluationPolicies = (deps: GetEvaluationPoliciesDeps) =>
  route({
    method: 'get',
    path: '/v1/evaluation-policies',
    operation: 'evaluation-policies.list',
    summary: 'List evaluation policies',
    permission: 'evaluation:read',
    query: z.strictObject({ name: nameSchema.optional(), ...pageQuery }),
    response: { status: 200, schema: pageOf(policyViewSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { name: 'default' } },
    handle: async ({ principal, query }) => {
      const filter = query.name === undefined ? {} : { name: query.name };
      const page = readPage(query, filter, keySchema);
      const found = await deps.listPolicies(principal.tenant, filter, page);
      const keyOf = (item: PolicyView) => `${item.name}@${item.revision}`;
      return { status: 200, body: writePage(found, page, { filter, keyOf }) };
    },
  });
