import { createRandom } from '../../src/domain/evaluation/random.js';
import { judgeShadow, shadowBoundsSchema } from '../../src/domain/release/shadow-verdict.js';
import type { ShadowCounts } from '../../src/domain/release/shadow-verdict.js';

const HOUR_MS = 3_600_000;
const bounds = shadowBoundsSchema.parse({});
const counts = (changes: Partial<ShadowCounts> = {}): ShadowCounts => ({
  pairs: 1_000,
  errors: 0,
  slow: 0,
  disagreements: 13,
  elapsedMs: 25 * HOUR_MS,
  ...changes,
});
const state = (changes: Partial<ShadowCounts>, over: object = {}) => {
  const verdict = judgeShadow(counts(changes), { ...bounds, ...over });
  return [verdict.state, verdict.reason];
};
const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

/** 2,000 shadows without labels whose answers truly differ at `rate`: looks every 10 pairs, at most 2,000 pairs. */
function simulateDisagreement(rate: number): { breached: number; medianPairs: number } {
  const found: number[] = [];
  for (let run = 0; run < 2_000; run++) {
    const random = createRandom(run, `disagreement ${rate}`);
    let disagreements = 0;
    for (let pairs = 1; pairs <= 2_000; pairs++) {
      if (random.uniform() < rate) disagreements++;
      if (pairs % 10 > 0) continue;
      // The breach alone is under test: the clock stands still, so that no look ends the run otherwise.
      const verdict = judgeShadow(
        { pairs, errors: 0, slow: 0, disagreements, elapsedMs: 0 },
        bounds,
      );
      if (verdict.state === 'REVIEW') {
        found.push(pairs);
        break;
      }
    }
  }
  return { breached: (100 * found.length) / 2_000, medianPairs: median(found) };
}

describe('disagreement against a bound of 5 %, looked at every 10 pairs, 2,000 runs', () => {
  it('at a truth of 5 % is called a breach in at most 2.5 % of runs', () => {
    const { breached } = simulateDisagreement(0.05);
    expect(breached).toBeLessThanOrEqual(2.5);
    expect(breached).toBeGreaterThan(0);
  });

  it('at 8 % is found in at least 96 %, after 690 pairs (± 10 %)', () => {
    const { breached, medianPairs } = simulateDisagreement(0.08);
    expect(breached).toBeGreaterThanOrEqual(96);
    expect(Math.abs(medianPairs / 690 - 1)).toBeLessThanOrEqual(0.1);
  });

  it.each([
    [0.1, 260],
    [0.2, 40],
  ])('at %d is found in every run, after %d pairs (± 10 %%)', (rate, pairs) => {
    const { breached, medianPairs } = simulateDisagreement(rate);
    expect(breached).toBe(100);
    expect(Math.abs(medianPairs / pairs - 1)).toBeLessThanOrEqual(0.1);
  });
});

/** Share of 1,000 runs that end FAILED when looked at every 10 pairs up to 2,000. */
function falseFailures(
  draw: (random: ReturnType<typeof createRandom>, sum: ShadowCounts) => void,
  over: object,
): number {
  let failed = 0;
  for (let run = 0; run < 1_000; run++) {
    const random = createRandom(run, 'false failures');
    const sum: ShadowCounts = { pairs: 0, errors: 0, slow: 0, disagreements: 0, elapsedMs: 0 };
    while (sum.pairs < 2_000) {
      sum.pairs++;
      draw(random, sum);
      if (sum.pairs % 10 === 0 && judgeShadow(sum, { ...bounds, ...over }).state === 'FAILED') {
        failed++;
        break;
      }
    }
  }
  return (100 * failed) / 1_000;
}

describe('a sound candidate', () => {
  /** Half of the allowed errors, half of the allowed slow answers. */
  const half = (random: ReturnType<typeof createRandom>, sum: ShadowCounts): void => {
    if (random.uniform() < 0.005) sum.errors++;
    else if (random.uniform() < 0.025) sum.slow++;
  };

  it('fails in at most 4 % of 1,000 runs although it is looked at 200 times, because the first look waits for 100 pairs', () => {
    expect(falseFailures(half, {})).toBeLessThanOrEqual(4);
    expect(falseFailures(half, { minHarmPairs: 1 })).toBeGreaterThan(8);
  });

  it('that is as good as the champion by its labels fails in at most 1 % of 500 runs, looked at every 100 pairs', () => {
    let failed = 0;
    for (let run = 0; run < 500; run++) {
      const random = createRandom(run, 'equal by label');
      const labelled = { n: 0, candidateOnly: 0, championOnly: 0 };
      while (labelled.n < 3_000) {
        labelled.n++;
        const u = random.uniform();
        if (u < 0.03) labelled.candidateOnly++;
        else if (u < 0.06) labelled.championOnly++;
        if (labelled.n < 1_000 || labelled.n % 100 > 0) continue;
        const disagreements = labelled.candidateOnly + labelled.championOnly;
        const sum = counts({ pairs: labelled.n, disagreements, labelled, elapsedMs: 0 });
        if (judgeShadow(sum, bounds).state === 'FAILED') {
          failed++;
          break;
        }
      }
    }
    expect(failed).toBeLessThanOrEqual(5);
  });
});

describe('shadow verdict', () => {
  it('passes once pairs, duration and the upper end of disagreement allow it', () => {
    expect(state({})).toEqual(['PASSED', 'DISAGREEMENT']);
    expect(state({ elapsedMs: 23 * HOUR_MS })).toEqual(['COLLECTING', 'MORE_TIME']);
    expect(state({ pairs: 990 })).toEqual(['COLLECTING', 'MORE_PAIRS']);
    expect(state({ disagreements: 45 })).toEqual(['COLLECTING', 'MORE_PAIRS']);
  });

  it('needs 158 agreeing pairs for a bound of 5 %, however small `minPairs` is', () => {
    const few = { minPairs: 50 };
    expect(state({ pairs: 157, disagreements: 0 }, few)[0]).toBe('COLLECTING');
    expect(state({ pairs: 158, disagreements: 0 }, few)[0]).toBe('PASSED');
  });

  it('is REVIEW, not FAIL, on a breach without labels, at any duration', () => {
    expect(state({ disagreements: 100 })).toEqual(['REVIEW', 'DISAGREEMENT']);
    expect(state({ disagreements: 100, elapsedMs: 0 })).toEqual(['REVIEW', 'DISAGREEMENT']);
  });

  it('waits with a breach for the labels that were announced, then is REVIEW', () => {
    const over = { labelWaitMs: 48 * HOUR_MS };
    expect(state({ disagreements: 100 }, over)).toEqual(['COLLECTING', 'WAITING_FOR_LABELS']);
    expect(state({ disagreements: 100, elapsedMs: 72 * HOUR_MS }, over)).toEqual([
      'REVIEW',
      'DISAGREEMENT',
    ]);
  });

  it('is INCONCLUSIVE at the end of the longest duration, never a PASS', () => {
    expect(state({ disagreements: 45, elapsedMs: 7 * 24 * HOUR_MS })).toEqual([
      'INCONCLUSIVE',
      'MAX_DURATION',
    ]);
    expect(state({ pairs: 0, disagreements: 0, elapsedMs: 7 * 24 * HOUR_MS })).toEqual([
      'INCONCLUSIVE',
      'MAX_DURATION',
    ]);
  });

  it('fails a candidate whose errors or slow answers are beyond their bounds, before all else', () => {
    expect(state({ errors: 16 })).toEqual(['COLLECTING', 'MORE_PAIRS']);
    expect(state({ errors: 20 })).toEqual(['FAILED', 'ERRORS']);
    expect(state({ slow: 70 })).toEqual(['FAILED', 'LATENCY']);
    expect(state({ slow: 60 })[0]).toBe('PASSED');
    expect(state({ errors: 20, disagreements: 500 })).toEqual(['FAILED', 'ERRORS']);
  });

  it('does not fail on a handful of errors, but on half of 20', () => {
    const early = { disagreements: 0, elapsedMs: 0 };
    expect(state({ ...early, pairs: 19, errors: 19 })[0]).toBe('COLLECTING');
    expect(state({ ...early, pairs: 20, errors: 9 })[0]).toBe('COLLECTING');
    expect(state({ ...early, pairs: 20, errors: 10 })).toEqual(['FAILED', 'ERRORS']);
    expect(state({ ...early, pairs: 100, errors: 6 })).toEqual(['FAILED', 'ERRORS']);
    expect(state({ ...early, pairs: 50, errors: 3 }, { minPairs: 50 })).toEqual([
      'FAILED',
      'ERRORS',
    ]);
  });

  it('lets labels decide: a better model that disagrees passes, a worse one fails', () => {
    const labelled = (candidateOnly: number, championOnly: number, n = 2_000) => ({
      pairs: 2_000,
      disagreements: candidateOnly + championOnly,
      labelled: { n, candidateOnly, championOnly },
    });
    expect(state(labelled(200, 60))).toEqual(['PASSED', 'LABELS']);
    expect(state(labelled(60, 200))).toEqual(['FAILED', 'LABELS']);
    expect(state(labelled(60, 200, 999))).toEqual(['REVIEW', 'DISAGREEMENT']);
  });

  it('goes on while labels are undecided, whatever the disagreement says, and never passes on it', () => {
    const labelled = { n: 2_000, candidateOnly: 110, championOnly: 130 };
    const end = { elapsedMs: 7 * 24 * HOUR_MS };
    const breach = { pairs: 2_000, disagreements: 240, labelled };
    expect(state(breach)).toEqual(['COLLECTING', 'MORE_PAIRS']);
    expect(state({ ...breach, ...end })).toEqual(['REVIEW', 'DISAGREEMENT']);
    const calm = { disagreements: 20, labelled: { n: 1_000, candidateOnly: 5, championOnly: 15 } };
    expect(state(calm)).toEqual(['COLLECTING', 'MORE_PAIRS']);
    expect(state({ ...calm, ...end })).toEqual(['INCONCLUSIVE', 'MAX_DURATION']);
  });

  it('does not fail on an interval alone: McNemar has to call five discordant pairs worse, and does not', () => {
    const labelled = { n: 1_000, candidateOnly: 0, championOnly: 5 };
    const verdict = judgeShadow(counts({ disagreements: 5, labelled }), { ...bounds, margin: 0 });
    expect(verdict.checks[3]?.interval?.high).toBeLessThan(0);
    expect(verdict.checks[3]).toMatchObject({ verdict: 'INCONCLUSIVE', p: 0.0625 });
    expect(verdict.state).toBe('COLLECTING');
  });

  it('reports every check with value, interval, n and bound, the same at every reading', () => {
    const labelled = { n: 1_000, candidateOnly: 6, championOnly: 7 };
    const verdict = judgeShadow(counts({ labelled }), bounds);
    expect(verdict.checks.map(({ check }) => check)).toEqual([
      'errors',
      'latency',
      'disagreement',
      'labels',
    ]);
    expect(verdict.checks[3]).toMatchObject({
      value: -0.001,
      n: 1_000,
      bound: -0.01,
      verdict: 'PASS',
      p: 1,
    });
    expect(judgeShadow(counts({ labelled }), bounds)).toEqual(verdict);
    expect(JSON.parse(JSON.stringify(verdict))).toEqual(verdict);
  });
});
