import type { Egress } from '../adapters/egress/create-egress.js';
import { createEtlEmbeddings, createEtlShards } from '../adapters/postgres/etl-embeddings.js';
import { createEtlLedger } from '../adapters/postgres/etl-ledger.js';
import { createEtlReads } from '../adapters/postgres/etl-reads.js';
import type { LedgerParts } from '../adapters/postgres/etl-rows.js';
import { newId } from '../adapters/postgres/new-id.js';
import { createRetrievalStore } from '../adapters/postgres/retrieval.js';
import { createRetrievalRuns } from '../adapters/postgres/retrieval-runs.js';
import {
  createEvalSet,
  createRetrieval,
  type RetrievalDeps,
} from '../activities/retrieval/index.js';
import { leaseRate, tokenBound, type Scrubber } from '../activities/etl/index.js';
import { sourceLimits, watchSourceStart, type SourceLimits } from '../domain/etl/contract.js';
import { digestOf } from '../domain/digest.js';
import { hasResidualPii } from '../domain/pii/find-pii.js';
import { createPseudonym } from '../domain/pii/pseudonym.js';
import { piiPolicyIdentity, piiPolicySchema, type PiiPolicy } from '../domain/pii/contract.js';
import { scrubText } from '../domain/pii/scrub-text.js';
import { subjectToken } from '../domain/subject-token.js';
import { MINUTE_MS } from '../domain/units.js';
import type { Config } from '../config.js';
import type { Parts } from './dependencies.js';
import { createEmbedders } from './embedders.js';
import type { Serving } from './serving.js';
import { createStores } from './stores.js';

const FRESHNESS_OBJECTIVE_MS = 5 * MINUTE_MS;

const MAX_POLICIES = 1_000;

/** What runs of a source are given in this installation. */
export const limitsOf = ({ etl }: Config): SourceLimits =>
  sourceLimits({ heartbeatTimeoutMs: etl.heartbeatMs, maxBatches: etl.batchesPerRun });

/** Policies read once: what their patterns compile to is kept with the object. */
function createPolicies() {
  const known = new Map<string, { policy: PiiPolicy; version: string }>();
  return (written: Record<string, unknown>) => {
    const text = JSON.stringify(written);
    const found = known.get(text);
    if (found !== undefined) return found;
    const policy = piiPolicySchema.parse(written);
    const read = { policy, version: digestOf('anneal.pii.policy', piiPolicyIdentity(policy)) };
    if (known.size >= MAX_POLICIES) known.clear();
    known.set(text, read);
    return read;
  };
}

/** Scrubs by a collection's policy with the tenant's pseudonym key, documents and queries alike. */
function createScrubbers(secrets: Serving['secrets']) {
  const policyOf = createPolicies();
  return async (tenant: string, piiPolicy: Record<string, unknown>): Promise<Scrubber> => {
    const key = await secrets.pseudonymKey(tenant);
    const { policy, version } = policyOf(piiPolicy);
    const pseudonym = createPseudonym(key.key.reveal());
    return {
      policyVersion: version,
      keyId: `pseudonym-v${key.version}`,
      scrub: (text) => {
        const subjects: string[] = [];
        const { text: scrubbed, findings } = scrubText(text, {
          policy,
          pseudonym: (kind, value) => {
            subjects.push(subjectToken(key, value));
            return pseudonym(kind, value);
          },
        });
        return { text: scrubbed, counts: findings, subjects };
      },
      hasResidual: (text) => hasResidualPii(text, policy),
      subjectToken: (subject) => subjectToken(key, subject),
    };
  };
}

/**
 * What knowledge is made of in one process: the write ledger and its reads, stores, embedders, scrubbing, and retrieval
 * on top. API and workers build the same, so that a query passes what its documents passed.
 */
export function createKnowledge(
  parts: Parts,
  serving: Pick<Serving, 'secrets' | 'cipher'>,
  egress: Egress,
) {
  const { secrets, cipher } = serving;
  const ledgerParts: LedgerParts = {
    db: parts.db,
    cipher,
    keyOf: (tenant) => secrets.documentIdKey(tenant),
    watchStart: (source) => watchSourceStart(source, limitsOf(parts.config).watch),
    quarantined: parts.metrics.knowledge.etl.observe.quarantined,
  };
  const scrubber = createScrubbers(secrets);
  const embeddings = createEtlEmbeddings(parts);
  const embedders = createEmbedders(parts, egress);
  const stores = createStores(parts.config);
  const ledger = createEtlLedger(ledgerParts);
  const rows = createRetrievalStore(parts.db);
  const scrubQuery: RetrievalDeps['scrubQuery'] = async (tenant, text, piiPolicy) =>
    (await scrubber(tenant, piiPolicy)).scrub(text).text;
  const retrievalDeps: RetrievalDeps = {
    reads: createEtlReads(ledgerParts),
    findSearched: rows.findSearched,
    isApplied: ledger.isApplied,
    storeOf: stores.storeOf,
    embedderOf: embedders.embedderOf,
    leaseRate: (of, text) => leaseRate({ embeddings }, of, tokenBound(text)),
    scrubQuery,
    freshnessObjectiveMs: FRESHNESS_OBJECTIVE_MS,
    observer: parts.metrics.knowledge.retrieval,
  };
  const ownerOf = (of: { tenant: string; rowId: string }) => ({
    ...of,
    table: 'retrieval_eval_query',
    column: 'text_enc',
  });
  return {
    ledgerParts,
    ledger,
    embeddings,
    shards: createEtlShards(parts),
    scrubber,
    retrievalDeps,
    retrieval: createRetrieval(retrievalDeps),
    embedderOf: embedders.embedderOf,
    sinkOf: stores.sinkOf,
    storeOf: stores.storeOf,
    findSink: stores.findSink,
    runs: createRetrievalRuns(parts.db, async (of, sealed) =>
      (await cipher.decrypt(ownerOf(of), sealed)).toString('utf8'),
    ),
    evaluations: {
      ...rows,
      createEvalSet: createEvalSet({
        findSearched: rows.findSearched,
        scrubQuery,
        sealQuery: (of, text) => cipher.encrypt(ownerOf(of), text),
        newEvalSetId: () => newId('evalSet'),
        saveEvalSet: rows.saveEvalSet,
      }),
    },
    close: async () => {
      await embedders.close();
      await stores.close();
    },
  };
}

export type Knowledge = ReturnType<typeof createKnowledge>;
