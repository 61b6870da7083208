import { digestOf } from '../../domain/digest.js';
import { failureOf } from '../../domain/errors.js';
import { runOf } from '../run-of.js';

/** What the intent look-up answers: the digest that was committed, or nothing. */
export interface AuthoriseStartDeps {
  /** Reads the intent of one workflow and marks it as begun. */
  beginIntent: (tenant: string, workflowId: string) => Promise<{ inputDigest: string } | undefined>;
  /** Commits an audit entry for a run that nobody authorised. */
  recordForgedStart: (tenant: string, run: { workflowId: string; runId: string }) => Promise<void>;
}

/**
 * Re-reads the intent of the calling workflow and compares the digest of its input. Idempotent.
 * @throws START_NOT_AUTHORISED, final, audited
 */
export const createAuthoriseStart =
  (deps: AuthoriseStartDeps) =>
  async ({ tenant, input }: { tenant: string; input: unknown }): Promise<void> => {
    const { workflowId, runId } = runOf();
    const intent = await deps.beginIntent(tenant, workflowId);
    if (intent?.inputDigest === digestOf('anneal.intent.v1', input)) return;
    await deps.recordForgedStart(tenant, { workflowId, runId });
    throw failureOf('START_NOT_AUTHORISED', 'no committed intent allows this run with this input');
  };
