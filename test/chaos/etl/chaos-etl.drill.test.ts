import { EtlStack } from './etl-stack.js';
import { plantedFaultNames, proveFault } from './prove-faults.js';
import { killsOf, notHit, printReport, verdictOf } from './report.js';
import { runChaos } from './run-chaos.js';

// `npm run chaos:etl` in small: the same processes, kill points and checks, fewer kills.

const KILLS = 20;
const DOCUMENTS = 40;
const seed = 20_261_121;

const lines: string[] = [];
const say = (line: string): void => void lines.push(line);
const stack = new EtlStack({ say });

beforeAll(() => stack.start(), 240_000);
afterAll(() => stack.close(), 60_000);

test(`[G1, G4] ${KILLS} kills, at every point, leave no orphan, no duplicate, no miss and no stale read, and a changed chunk is paid for once`, async () => {
  const of = { seed, kills: KILLS, only: undefined, documents: DOCUMENTS, say };
  const report = await runChaos(stack, of);
  process.stdout.write(`${[...lines, '', printReport(report)].join('\n')}\n`);
  expect(report.findings).toEqual([]);
  expect(killsOf(report)).toBeGreaterThanOrEqual(KILLS);
  expect(notHit(report)).toEqual([]);
  expect(verdictOf(report)).toBe('PASS');
}, 1_200_000);

test.each(plantedFaultNames)(
  'a planted fault is caught: %s',
  async (fault) => {
    const { before, caught } = await proveFault(stack, fault, seed);
    expect({ before, caught }).toEqual({ before: [], caught: true });
  },
  // Longer than the waits inside it, which say what they waited for.
  600_000,
);
