import { MockActivityEnvironment } from '@temporalio/testing';
import {
  createEvalSet,
  createRetrieval,
  createRetrievalActivities,
  type RetrievalDeps,
} from '../../src/activities/retrieval/index.js';
import { newId } from '../../src/adapters/postgres/new-id.js';
import { createRetrievalRuns } from '../../src/adapters/postgres/retrieval-runs.js';
import { createRetrievalStore } from '../../src/adapters/postgres/retrieval.js';
import { retrievalRoutes } from '../../src/api/retrieval/index.js';
import { hash384, hash384Dims } from '../../src/domain/etl/hash-384.js';
import { WritePathWorld } from '../etl/write-path-world.js';
import { serveRoutes, type ServedRoutes } from '../support/serve-routes.js';

/** The endpoints of `retrieval` over documents that went through the write path: Postgres, LanceDB and the edge are real. */
export interface RetrievalWorld extends ServedRoutes {
  documents: WritePathWorld;
  /** Runs once, between the read filter and the texts of the next answer. */
  between: (work: () => Promise<unknown>) => void;
  /** What the workflow of an evaluation has done. */
  measure: (tenant: string, evaluationId: string) => Promise<void>;
}

const ownerOf = (of: { tenant: string; rowId: string }) => ({
  ...of,
  ...{ table: 'retrieval_eval_query', column: 'text_enc' },
});

export async function createRetrievalWorld(): Promise<RetrievalWorld> {
  const documents = await WritePathWorld.create();
  const { database, parts, reads, ledger } = documents;
  const store = createRetrievalStore(database.api);
  let meanwhile: (() => Promise<unknown>) | undefined;
  const scrubQuery = (_tenant: string, text: string) =>
    Promise.resolve(text.replaceAll('Ada', 'PERSON_1'));
  const deps: RetrievalDeps = {
    reads: {
      ...reads,
      readSpans: async (tenant, query) => {
        const work = meanwhile;
        meanwhile = undefined;
        await work?.();
        return reads.readSpans(tenant, query);
      },
    },
    findSearched: store.findSearched,
    isApplied: ledger.isApplied,
    storeOf: () => documents.store(),
    embedderOf: async () => ({
      ...{ id: 'hash-384', embedFp: 'sha256:0', dims: hash384Dims, memo: false },
      limits: { maxInputs: 256, maxTokensPerInput: 8_192, maxTokensPerRequest: 300_000 },
      embed: async (texts) => texts.map(hash384),
    }),
    leaseRate: async () => undefined,
    scrubQuery,
    freshnessObjectiveMs: 300_000,
  };
  const served = await serveRoutes(
    retrievalRoutes({
      ...createRetrieval(deps),
      ...store,
      createEvalSet: createEvalSet({
        findSearched: store.findSearched,
        scrubQuery,
        sealQuery: (of, text) => parts.cipher.encrypt(ownerOf(of), text),
        newEvalSetId: () => newId('evalSet'),
        saveEvalSet: store.saveEvalSet,
      }),
      links: { temporalUi: (id) => `http://localhost/${id}` },
    }),
    database,
  );
  const runs = createRetrievalRuns(database.worker, async (of, sealed) =>
    (await parts.cipher.decrypt(ownerOf(of), sealed)).toString('utf8'),
  );
  const { measureRetrieval } = createRetrievalActivities({ ...runs, retrieval: deps });
  return {
    ...served,
    documents,
    between: (work) => void (meanwhile = work),
    measure: async (tenant, evaluationId) =>
      void (await new MockActivityEnvironment().run(measureRetrieval, { tenant, evaluationId })),
    close: async () => {
      await served.close();
      await documents.close();
    },
  };
}
