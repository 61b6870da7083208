import type { PublicationCounts } from '../../domain/datasets/contract.js';
import type { PublicationFacts, ListedRejects } from '../../domain/datasets/publication-facts.js';
import type { RuleCount, StageInput, StageResult } from '../../domain/datasets/staging.js';
import { workflowCaller } from '../run-of.js';
import type { DatasetsDeps } from './datasets-deps.js';
import { keepBeating } from './keep-beating.js';

export interface StagePublicationInput {
  tenant: string;
  publicationId: string;
  /** Rejected rows that are listed one by one. */
  maxListedRejects: number;
}

/** Exact counts of the whole batch, and its most frequent rules. */
export interface StagedBatch {
  total: number;
  valid: number;
  rejected: number;
  rules: RuleCount[];
}

/** Rules that an operator sees in the current details. */
const SHOWN_RULES = 20;

/** The first stage's input, equal at every repeat. */
export const stageInputOf = (tenant: string, facts: PublicationFacts): StageInput => {
  const { contract, plan, source, publicationId } = facts;
  const { format: kind, header, delimiter, trim, nullTokens } = plan.source;
  const format = { format: kind, header, delimiter, trim, nullTokens };
  return { tenantId: tenant, scope: publicationId, source, format, contract, pii: plan.pii };
};

/** The first rejected rows in file order, one entry for each rule they broke. */
async function listRejects(
  deps: DatasetsDeps,
  staged: StageResult,
  limit: number,
): Promise<ListedRejects> {
  const listed: ListedRejects = [];
  for (const { ref } of staged.quarantine) {
    for await (const rows of deps.readQuarantine(ref)) {
      for (const { row, violations } of rows) {
        for (const { field, rule, detail } of violations)
          listed.push({ row, field, rule, ...(detail === undefined ? {} : { detail }) });
        if (listed.length >= limit) return listed.slice(0, limit);
      }
    }
  }
  return listed;
}

const countsOf = (staged: StageResult): PublicationCounts => {
  const { total, valid, rejected, imputedValues, rules, ignoredColumns } = staged;
  return { total, valid, rejected, imputedValues, rules, ignoredColumns };
};

/**
 * Reads the source: validates, redacts and stages every row, and lists the rejected ones with rule and row number.
 * A finished stage is found again; an unfinished one starts over and gives the same result.
 */
export const createStagePublication =
  (deps: DatasetsDeps) =>
  ({ tenant, publicationId, maxListedRejects }: StagePublicationInput): Promise<StagedBatch> =>
    keepBeating(async ({ note, signal }) => {
      const caller = workflowCaller(tenant);
      const facts = await deps.publications.enterStage(caller, publicationId, 'VALIDATING');
      const staged = await deps.stageRows(stageInputOf(tenant, facts), {
        tokenise: await deps.tokeniser(tenant),
        heartbeat: note,
        signal,
      });
      const rejects = await listRejects(deps, staged, maxListedRejects);
      await deps.publications.recordRejects(tenant, publicationId, rejects);
      await deps.publications.recordStaged(caller, publicationId, countsOf(staged));
      const { total, valid, rejected } = staged;
      const rules = [...staged.rules].sort((a, b) => b.count - a.count).slice(0, SHOWN_RULES);
      return { total, valid, rejected, rules };
    });
