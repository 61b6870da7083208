import { EtlStack } from './etl-stack.js';
import { plantedFaultNames, proveFault } from './prove-faults.js';
import { embedsPerChange, killsOf, MOST_EMBEDS, printReport, verdictOf } from './report.js';
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

describe(`${KILLS} kills`, () => {
  it('[F1, F4, F5, F7] leave no orphan, no duplicate, no miss and no stale read, and pay for a changed chunk once', async () => {
    const report = await runChaos(stack, { seed, kills: KILLS, documents: DOCUMENTS, say });
    const table = printReport(report);
    process.stdout.write(`${table}\n`);
    expect([...report.findings, table]).toEqual([table]);
    expect(killsOf(report)).toBeGreaterThanOrEqual(KILLS);
    expect(embedsPerChange(report)).toBeLessThanOrEqual(MOST_EMBEDS);
    // A run in which no intent was ever in doubt has proved nothing.
    expect(verdictOf(report)).toBe('PASS');
  }, 900_000);
});

describe('a planted fault is caught', () => {
  it.each(plantedFaultNames)(
    '%s',
    async (fault) => {
      const { before, caught, findings } = await proveFault(stack, fault, seed);
      expect(before).toEqual([]);
      expect({ caught, findings }).toMatchObject({ caught: true });
    },
    300_000,
  );
});
