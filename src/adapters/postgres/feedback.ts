import { digestOf } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import type { FeedbackRequest, FeedbackView } from '../../domain/feedback/contract.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';

interface FeedbackRow {
  feedbackId: string;
  decisionId: string;
  type: string;
  value: unknown;
  sourceKind: string;
  sourceId: string;
  observedAt: Date;
  createdAt: Date;
}

const viewOf = (row: FeedbackRow): FeedbackView => ({
  feedbackId: row.feedbackId,
  decisionId: row.decisionId,
  type: row.type as FeedbackView['type'],
  value: row.value as FeedbackView['value'],
  source: { kind: row.sourceKind as FeedbackView['source']['kind'], id: row.sourceId },
  observedAt: row.observedAt.toISOString(),
  createdAt: row.createdAt.toISOString(),
});

/** The same statement of the same source twice is one entry. */
async function insertOnce(
  tx: Tx,
  caller: Caller,
  request: FeedbackRequest,
): Promise<{ row: FeedbackRow; isNew: boolean }> {
  const { decisionId, type, value, source, observedAt } = request;
  const identity = {
    tenantId: caller.tenant,
    decisionId,
    sourceKind: source.kind,
    sourceId: source.id,
    type,
    valueDigest: digestOf('anneal.feedback.value.v1', value),
  };
  const written = await tx.feedback.createMany({
    data: {
      ...identity,
      feedbackId: newId('feedback'),
      value,
      observedAt: new Date(observedAt),
      createdBy: caller.actor.subject,
    },
    skipDuplicates: true,
  });
  const row = await tx.feedback.findFirstOrThrow({ where: identity });
  return { row, isNew: written.count === 1 };
}

/** Feedback on decisions: appended, never changed. */
export const createFeedbackStore = (db: Database) => ({
  /**
   * Records one entry in one transaction with the labels of the decision's shadow pairs. The same statement by the same
   * source is answered with the entry that is there.
   * @param problemOf what is wrong with the value for this model version, or undefined
   * @throws NOT_FOUND (no such decision here), FEEDBACK_TYPE_INVALID
   */
  recordFeedback: (
    caller: Caller,
    request: FeedbackRequest & { env: string },
    problemOf: (model: string, version: number) => Promise<string | undefined>,
  ): Promise<Outcome<FeedbackView>> =>
    mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const decision = await tx.decision.findFirst({
        where: { tenantId: tenant, decisionId: request.decisionId, env: request.env },
        select: { model: true, version: true },
      });
      if (decision === null) {
        throw new PlatformError('NOT_FOUND', 'There is no settled decision of this id here.');
      }
      const problem = await problemOf(decision.model, decision.version);
      if (problem !== undefined) {
        throw new PlatformError('FEEDBACK_TYPE_INVALID', `The value ${problem}.`, {
          errors: [{ pointer: '/value', code: 'type', detail: problem }],
        });
      }
      const { row, isNew } = await insertOnce(tx, caller, request);
      if (isNew && request.type === 'label') {
        await tx.$queryRaw`select feedback_label_pairs(${tenant}, ${request.decisionId})::text`;
      }
      const body = viewOf(row);
      const facts = { type: body.type, decisionId: body.decisionId, source: request.source.kind };
      return {
        status: isNew ? 201 : 200,
        body,
        audit: {
          action: isNew ? 'feedback.recorded' : 'feedback.repeated',
          resource: { type: 'feedback', id: body.feedbackId },
          after: facts,
        },
        events: isNew
          ? [{ type: 'anneal.feedback.recorded.v1', subject: body.feedbackId, data: facts }]
          : [],
      };
    }),

  /** All entries on one decision of this environment, newest first; undefined where there is no such decision. */
  listFeedback: (
    tenant: string,
    env: string,
    decisionId: string,
  ): Promise<FeedbackView[] | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const known = await tx.decision.count({ where: { tenantId: tenant, decisionId, env } });
      if (known === 0) return undefined;
      const rows = await tx.feedback.findMany({
        where: { tenantId: tenant, decisionId },
        orderBy: { feedbackId: 'desc' },
      });
      return rows.map(viewOf);
    }),
});
