import { LifeStack } from './life-stack.js';
import { plantNames } from './plants.js';
import { provePlants } from './prove-plants.js';
import { killsOf, notMet, printReport, verdictOf, type LifeReport } from './report.js';
import { evidenceOf, runLife } from './run-life.js';

// `npm run chaos` in small: the same processes, faults and checker, fewer kills; then every planted bug in a copy of what
// that run has left behind.

const KILLS = 8;
const seed = 20_261_122;

const lines: string[] = [];
const say = (line: string): void => void lines.push(line);
const stack = new LifeStack({ say });
let report: LifeReport | undefined;

beforeAll(() => stack.start(), 240_000);
afterAll(async () => {
  // What a failed run leaves is the only evidence of its cause.
  const keep = report === undefined || verdictOf(report) !== 'PASS';
  await stack.close({ keep });
  if (keep) process.stdout.write(`databases, histories and logs stay in ${stack.stateDir}\n`);
}, 60_000);

test(`[F1, F2, F3, F4, F5, F7, F9, F10, I1, I2, I3, I4, I5, I6, I7, I9, I10] ${KILLS} kills over a model's whole life lose no acknowledged request and repeat no effect`, async () => {
  const of = { seed, kills: KILLS, requests: 300, callers: 5, thinkMs: 400, say };
  report = await runLife(stack, of);
  process.stdout.write(`${[...lines, '', printReport(report)].join('\n')}\n`);
  expect(report.crashes).toEqual([]);
  const violated = (report.verdict?.judgements ?? []).filter(({ findings }) => findings.length > 0);
  expect(violated).toEqual([]);
  expect(killsOf(report)).toBeGreaterThanOrEqual(KILLS);
  expect(notMet(report)).toEqual([]);
  expect(verdictOf(report)).toBe('PASS');
}, 900_000);

test('the checker names the invariant that each planted bug breaks, and no other', async () => {
  expect(report?.verdict).toBeDefined();
  const proofs = await provePlants(stack, evidenceOf(stack), plantNames);
  expect(proofs.map(({ name, named }) => ({ name, named }))).toEqual(
    proofs.map(({ name, breaks }) => ({ name, named: [breaks] })),
  );
  expect(proofs).toHaveLength(plantNames.length);
}, 600_000);
