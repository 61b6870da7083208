import type { StoredInference } from '../../domain/inference/run.js';
import type { InferenceState } from '../../domain/inference/contract.js';
import type { Database } from './database.js';
import { createInferenceReads } from './inference.js';
import { Prisma } from './generated/client.js';

/** The inferences of one caller, for lists. */
export const createInferenceViews = (db: Database) => ({
  ...createInferenceReads(db),
  /** Newest first, strictly before `after`; one more than `limit` where there is more. */
  listInferences: async (
    tenant: string,
    filter: {
      principalId: string;
      env: string;
      status?: InferenceState | undefined;
      model?: string | undefined;
    },
    page: { limit: number; after: string | undefined },
  ): Promise<StoredInference[]> => {
    const ids = await db.withTenant(tenant, async (tx) => {
      const { status, model } = filter;
      const all = [
        Prisma.sql`tenant_id = ${tenant}`,
        Prisma.sql`principal_id = ${filter.principalId}`,
        Prisma.sql`env = ${filter.env}`,
      ];
      if (status !== undefined) all.push(Prisma.sql`state = ${status}`);
      if (model !== undefined) all.push(Prisma.sql`model = ${model}`);
      if (page.after !== undefined) all.push(Prisma.sql`inference_id < ${page.after}`);
      const rows = await tx.$queryRaw<{ inference_id: string }[]>`
        select inference_id from inference where ${Prisma.join(all, ' and ')}
        order by inference_id desc limit ${page.limit + 1}`;
      return rows.map((row) => row.inference_id);
    });
    const found = await createInferenceReads(db).read(tenant, ids);
    return found.sort((a, b) => (a.inferenceId < b.inferenceId ? 1 : -1));
  },
});
