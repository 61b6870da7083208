import type { TestCaller } from '../support/api.js';
import { eventually } from '../support/eventually.js';
import {
  LoadedCollection,
  pageOf,
  questionOf,
  startInstallation,
  type Installation,
} from './reembed-load.js';
import { pause } from '../support/pause.js';

const PAGES = 48;
const tenant = 'acme';

let installation: Installation;
let loaded: LoadedCollection;
let operator: TestCaller;
let approver: TestCaller;

beforeAll(async () => {
  installation = await startInstallation();
  const { api } = installation;
  await api.createTenant(tenant);
  const { key } = await api.createCaller(tenant, ['data-steward', 'approver']);
  operator = await api.createCaller(tenant, ['operator']);
  approver = await api.createCaller(tenant, ['approver']);
  loaded = new LoadedCollection(api, { tenant, key });
  await loaded.create();
  let last = '';
  for (let at = 0; at < PAGES; at++) last = await loaded.put(at);
  await loaded.applied(last);
  await loaded.learn();
}, 300_000);
afterAll(() => installation.stop(), 60_000);

interface Generation {
  id: string;
  embedder: string;
  state: string;
  outcome?: Record<string, unknown>;
}
const generations = async () => (await loaded.collection()).generations as Generation[];
const stateOf = async (id: string) => (await generations()).find((one) => one.id === id)?.state;

/** Edits pages and asks questions until it is stopped; remembers which generation gave each answer. */
function underLoad() {
  let running = true;
  let edits = 0;
  let last = '';
  const answered: string[] = [];
  let foreign = 0;
  let hits = 0;
  const edit = async (): Promise<void> => {
    while (running) {
      edits += 1;
      last = await loaded.put(edits % PAGES, edits);
      await pause(250);
    }
  };
  const ask = async (): Promise<void> => {
    for (let at = 0; running; at++) {
      const question = questionOf(at % PAGES);
      const answer = await loaded.query(question);
      answered.push(answer.generationId);
      hits += answer.hits.length;
      foreign += await loaded.foreignHits(question, answer);
      await pause(100);
    }
  };
  const loops = Promise.all([edit(), ask(), ask()]);
  return {
    answered,
    stop: async () => {
      running = false;
      await loops;
      await loaded.applied(last);
      return { edits, hits, foreign };
    },
  };
}

/** The generations of answers in the order in which they came first, runs of the same one as one. */
const turns = (answered: readonly string[]): string[] =>
  answered.filter((id, at) => id !== answered[at - 1]);

it('hash-384 → lsa under load: gate, flip, rollback; no answer mixes two generations', async () => {
  const [before] = await generations();
  const old = before?.id ?? '';
  const evalSetId = await loaded.createEvalSet(20);
  const load = underLoad();
  await eventually(() => expect(load.answered.length).toBeGreaterThan(10), { timeoutMs: 30_000 });
  const begun = await loaded.reembed({ embedder: 'lsa', gate: { evalSetId } });
  const next = String(begun.id);
  expect(begun.status).toBe('FITTING');
  // While it is fitted there is nothing to write, and no second one may begin.
  const twice = await loaded.move('rebuild', operator.key, {});
  expect(twice).toMatchObject({ status: 409, body: { code: 'GENERATION_BUILDING' } });
  const flip = { generationId: next, decision: 'flip', reason: 'the sample reads well' };
  const early = await loaded.move('decide', approver.key, flip);
  expect(early.status).toBeGreaterThanOrEqual(404);
  await eventually(
    async () =>
      expect((await generations()).find(({ id }) => id === next)?.outcome).toMatchObject({
        waitingFor: 'gate INCONCLUSIVE',
      }),
    { timeoutMs: 180_000, everyMs: 500 },
  );
  expect(await loaded.move('decide', loaded.key, flip)).toMatchObject({
    ...{ status: 403, body: { code: 'SELF_APPROVAL' } },
  });
  await eventually(
    async () => {
      // A dual write of this very moment may be behind: then it is not decided on yet.
      const decided = await loaded.move('decide', approver.key, flip);
      expect(decided).toMatchObject({ status: 200, body: { decision: 'flip' } });
    },
    { timeoutMs: 30_000, everyMs: 200 },
  );
  await eventually(async () => expect(await stateOf(next)).toBe('LIVE'), {
    timeoutMs: 60_000,
    everyMs: 200,
  });
  const flipped = load.answered.length;
  await eventually(() => expect(load.answered.length).toBeGreaterThan(flipped + 20), {
    timeoutMs: 30_000,
  });
  const { edits, hits, foreign } = await load.stop();
  expect({ foreign, many: hits > 200, edited: edits > 10 }).toEqual({
    foreign: 0,
    many: true,
    edited: true,
  });
  // Two questions are asked at once, so the order of answers around the flip is that of two readers.
  expect(new Set(load.answered)).toEqual(new Set([old, next]));
  expect(turns(load.answered).at(0)).toBe(old);
  expect(turns(load.answered).at(-1)).toBe(next);
  const [run] = await installation.api.database.asSuperuser(
    `select r.verdict, r.baseline->>'generationId' as baseline from etl_generation g
     join retrieval_eval_run r on r.evaluation_id = g.outcome->>'evaluationId' where g.generation_id = $1`,
    [next],
  );
  expect(run).toEqual({ verdict: 'INCONCLUSIVE', baseline: old });
  expect(await stateOf(old)).toBe('HOLDING');

  // An edit during the hold is in both: what comes back is current.
  await loaded.applied(await loaded.put(5, 9_999));
  await loaded.rollback(old);
  const question = 'edition9999';
  const answer = await loaded.query(question, 'lexical');
  expect(answer.generationId).toBe(old);
  expect(answer.hits[0]?.text).toBe(pageOf(5, 9_999));
  expect(await stateOf(next)).toBe('HOLDING');
  await loaded.rollback(next);
  expect((await loaded.query(question, 'lexical')).hits[0]?.text).toBe(pageOf(5, 9_999));
}, 420_000);

it('a store is built anew from stored text, with the embedder that it had', async () => {
  const before = await loaded.collection();
  const rebuilt = await loaded.move('rebuild', operator.key, { holdMs: 60_000 });
  expect(rebuilt.status).toBe(202);
  const again = String(rebuilt.body.id);
  await eventually(async () => expect(await stateOf(again)).toBe('LIVE'), {
    timeoutMs: 60_000,
    everyMs: 200,
  });
  expect(await stateOf(String(before.liveGenerationId))).toBe('HOLDING');
  const answer = await loaded.query(questionOf(7));
  expect(answer.generationId).toBe(again);
  expect(answer.hits).toHaveLength(10);
  expect(await loaded.foreignHits(questionOf(7), answer)).toBe(0);
}, 120_000);
