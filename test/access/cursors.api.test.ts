import { createEvaluationStore } from '../../src/adapters/postgres/evaluation-requests.js';
import { getEvaluationPolicies } from '../../src/api/evaluation/get-evaluation-policies.js';
import { postEvaluationPolicies } from '../../src/api/evaluation/post-evaluation-policies.js';
import { allRefused, readForged } from '../support/forge-cursor.js';
import { serveRoutes } from '../support/serve-routes.js';
import { createAccessWorld, issue, type AccessWorld, type ApiProcess } from './access-app.js';

let world: AccessWorld;
let api: ApiProcess;
let tenant: string;
let admin: string;
beforeAll(async () => {
  world = await createAccessWorld();
  api = await world.startProcess();
  ({ tenant, adminKey: admin } = await world.newTenant());
  await issue(api, admin, { roles: ['viewer'] });
}, 60_000);
afterAll(() => world.close());

const MAX_SEQ_PASSED = '9007199254740993';

describe('a cursor with another key behind a genuine fingerprint is refused', () => {
  test.each([
    ['/v1/principals', ['key_01JZ8Q4T5V6W7X8Y9ZABCDEFGH']],
    ['/v1/api-keys', ['prn_01JZ8Q4T5V6W7X8Y9ZABCDEFGH']],
    ['/v1/audit', [MAX_SEQ_PASSED]],
  ])('by %s', async (list, more) => {
    const read = (cursor = '') =>
      api.send('GET', `${list}?limit=1${cursor && `&cursor=${cursor}`}`, { key: admin });
    expect(await readForged(read, more)).toEqual(allRefused(more));
  });

  test('by evaluation policies, whose key has two parts', async () => {
    const store = createEvaluationStore(world.database.api);
    const routes = [getEvaluationPolicies(store), postEvaluationPolicies(store)];
    const served = await serveRoutes(routes, world.database);
    const who = { tenant, roles: ['config-admin' as const, 'viewer' as const] };
    const [accuracy] = [{ id: 'a', metric: 'accuracy', op: 'gte', threshold: 0.8 }];
    const criteria = [{ ...accuracy, vs: 'absolute', severity: 'block' }];
    for (const name of ['strict', 'strict', 'loose'])
      await served.send('POST /v1/evaluation-policies', { ...who, body: { name, criteria } });
    const more = ['strict', 'strict@', 'strict@x', 'strict@2147483648', 'strict@1@1', 'S@1'];
    const read = (cursor = '') =>
      served.send(`GET /v1/evaluation-policies?limit=2${cursor && `&cursor=${cursor}`}`, who);
    const answer = await readForged(read, more).finally(() => served.close());
    expect(answer).toEqual(allRefused(more));
  });
});
