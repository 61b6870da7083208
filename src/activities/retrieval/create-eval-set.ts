import { digestOf, sha256 } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import type { SearchedCollection } from '../../domain/retrieval/searched-collection.js';
import {
  MIN_SET_QUERIES,
  type CreateEvalSet,
  type EvalSetView,
  type EvalSplit,
  type NewEvalSet,
} from '../../domain/retrieval/evaluation-contract.js';

export interface CreateEvalSetDeps {
  /** @throws NOT_FOUND */
  findSearched: (tenant: string, collectionId: string) => Promise<SearchedCollection>;
  scrubQuery: (tenant: string, text: string, piiPolicy: Record<string, unknown>) => Promise<string>;
  /** Seals a text for column `text_enc` of `retrieval_eval_query`, row `<evalSetId>/<queryId>`. */
  sealQuery: (of: { tenant: string; rowId: string }, text: string) => Promise<Uint8Array>;
  newEvalSetId: () => string;
  saveEvalSet: (caller: Caller, set: NewEvalSet) => Promise<Outcome<EvalSetView>>;
}

/** Where the caller names no half: an even first byte of SHA-256 of the id fits. */
const splitOf = (queryId: string): EvalSplit =>
  (sha256(queryId)[0] ?? 0) % 2 === 0 ? 'fit' : 'report';

/**
 * Stores judged queries: scrubbed like documents, sealed, named by a digest over the scrubbed texts and judgements.
 * @throws NOT_FOUND, SET_TOO_SMALL (`minimum` says how many), STORE_UNAVAILABLE
 */
export const createEvalSet =
  (deps: CreateEvalSetDeps) =>
  async (caller: Caller, request: CreateEvalSet): Promise<Outcome<EvalSetView>> => {
    const { tenant } = caller;
    if (request.queries.length < MIN_SET_QUERIES)
      throw new PlatformError('SET_TOO_SMALL', 'The set has too few judged queries.', {
        extensions: { minimum: MIN_SET_QUERIES },
      });
    const { piiPolicy } = await deps.findSearched(tenant, request.collectionId);
    const evalSetId = deps.newEvalSetId();
    const scrubbed = await Promise.all(
      request.queries.map(async ({ id, text, split, judgements }) => ({
        queryId: id,
        split: split ?? splitOf(id),
        text: await deps.scrubQuery(tenant, text, piiPolicy),
        judgements: judgements.map(({ documentId, gain }) => ({ docId: documentId, gain })),
      })),
    );
    const queries = await Promise.all(
      scrubbed.map(async ({ text, ...query }) => ({
        ...query,
        textEnc: await deps.sealQuery({ tenant, rowId: `${evalSetId}/${query.queryId}` }, text),
      })),
    );
    return deps.saveEvalSet(caller, {
      evalSetId,
      collectionId: request.collectionId,
      name: request.name,
      digest: digestOf('anneal.retrieval.eval-set.v1', scrubbed),
      queries,
    });
  };
