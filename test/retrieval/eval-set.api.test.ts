import { createRetrievalStore } from '../../src/adapters/postgres/retrieval.js';
import { getEvalSet } from '../../src/api/retrieval/get-eval-set.js';
import { evalSetDetailSchema } from '../../src/domain/retrieval/evaluation-contract.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { callerOf } from '../etl/ledger-world.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
}, 60_000);
afterAll(() => database.close());

const evalSetId = 'evs_01KAJ4Y4G0000000000000000A';
const collectionId = 'col_01KAJ4Y4G0000000000000000A';

test('a stored set is read back by its numbers, without a text, and by its tenant alone', async () => {
  const store = createRetrievalStore(database.api);
  const docId = (at: number) => `2c1c8f4e-9d7a-8b3c-a1d2-00000000000${at}`;
  const query = (queryId: string, split: 'fit' | 'report', judged: number) => ({
    ...{ queryId, split, textEnc: Buffer.from('sealed words') },
    judgements: Array.from({ length: judged }, (_, at) => ({ docId: docId(at), gain: at })),
  });
  await store.saveEvalSet(callerOf('sets'), {
    ...{ evalSetId, collectionId, name: 'questions', digest: `sha256:${'0'.repeat(64)}` },
    queries: [query('a', 'fit', 1), query('b', 'report', 3), query('c', 'report', 2)],
  });
  const found = await store.findEvalSet('sets', evalSetId);
  expect(found).toMatchObject({
    ...{ id: evalSetId, collectionId, name: 'questions', queryCount: 3 },
    ...{ splits: { fit: 1, report: 2 }, judgementCount: 6 },
  });
  expect(evalSetDetailSchema.strict().parse(found)).toEqual(found);
  expect(JSON.stringify(found)).not.toContain('sealed');
  await expect(store.findEvalSet('others', evalSetId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(getEvalSet(store).spec).toMatchObject({
    ...{ method: 'get', path: '/v1/retrieval/eval-sets/{id}', permission: 'etl:admin' },
  });
});
