import { Context } from '@temporalio/activity';
import type { GenerationFacts } from '../../domain/etl/ledger.js';
import type { Caller } from '../../domain/events/change.js';
import type { RetrievalEvaluationFacts } from '../../domain/retrieval/evaluation-contract.js';
import {
  measureGeneration,
  type AnsweredQuery,
  type GenerationReport,
  type QueryRow,
} from '../../domain/retrieval/measure-generation.js';
import { readerOf } from '../../domain/retrieval/principals.js';
import type { Verdict } from '../../domain/verdict.js';
import { workflowCaller } from '../run-of.js';
import type { RetrievalDeps } from './retrieval-deps.js';
import { searchReadable } from './search-readable.js';

export interface MeasureRetrievalDeps {
  retrieval: RetrievalDeps;
  /** PENDING → RUNNING, and everything that measuring needs. @throws NOT_FOUND */
  beginRetrievalEvaluation: (
    caller: Caller,
    evaluationId: string,
  ) => Promise<RetrievalEvaluationFacts>;
  /** RUNNING → DONE; again with another report: the first one stays, because latencies differ. */
  completeRetrievalEvaluation: (
    caller: Caller,
    evaluationId: string,
    done: { report: GenerationReport; rows: QueryRow[] },
  ) => Promise<{ verdict: Verdict }>;
}

/** Hits asked for: 100 candidates a leg, as the reference figures have it. */
const HITS = 25;

async function answerQueries(
  deps: RetrievalDeps,
  facts: RetrievalEvaluationFacts,
  of: {
    tenant: string;
    generation: GenerationFacts;
    alive: (measured: number) => void;
    signal: AbortSignal;
  },
): Promise<AnsweredQuery[]> {
  const { tenant, generation, signal } = of;
  const { subject, groups, purpose } = facts.plan;
  const reader = readerOf({ tenant, subject, groups, purpose });
  const answers: AnsweredQuery[] = [];
  // One at a time: latencies are those of a reader who waits for nobody else.
  for (const { queryId, split, text, judgements } of facts.queries) {
    signal.throwIfAborted();
    const since = performance.now();
    const search = { reader, generation, text, allowDegraded: false, signal };
    const { legs, chunks } = await searchReadable(deps, { ...search, mode: 'hybrid' }, HITS);
    answers.push({
      queryId,
      split,
      legs,
      judgements: new Map(judgements.map(({ docId, gain }) => [docId, gain])),
      documents: new Map([...chunks].map(([chunkId, { docId }]) => [chunkId, docId])),
      latencyMs: performance.now() - since,
    });
    of.alive(answers.length);
  }
  return answers;
}

/** Answers the judged queries from both sides and compares. Reads only. @throws STORE_UNAVAILABLE, SINK_UNAVAILABLE, EMBEDDER_UNAVAILABLE */
export async function measureFacts(
  deps: RetrievalDeps,
  facts: RetrievalEvaluationFacts,
  run: { tenant: string; alive: (measured: number) => void; signal: AbortSignal },
): Promise<{ report: GenerationReport; rows: QueryRow[] }> {
  const side = async (generation: GenerationFacts) => ({
    embedder: generation.embedder,
    answers: await answerQueries(deps, facts, { ...run, generation }),
  });
  const { epsilon, seed } = facts.plan;
  const candidate = await side(facts.candidate);
  const baseline = facts.baseline === undefined ? undefined : await side(facts.baseline);
  return measureGeneration({ candidate, baseline, epsilon, seed });
}

/** Measures a generation on an evaluation set and stores report and verdict. May be repeated. */
export const createMeasureRetrieval =
  (deps: MeasureRetrievalDeps) =>
  async ({ tenant, evaluationId }: { tenant: string; evaluationId: string }) => {
    const caller = workflowCaller(tenant);
    const facts = await deps.beginRetrievalEvaluation(caller, evaluationId);
    const done = await measureFacts(deps.retrieval, facts, {
      tenant,
      alive: (measured) => Context.current().heartbeat({ measured }),
      signal: Context.current().cancellationSignal,
    });
    return deps.completeRetrievalEvaluation(caller, evaluationId, done);
  };
