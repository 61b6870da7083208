import fc from 'fast-check';
import { planRows, type OpenRows, type RowPlan } from '../../src/domain/etl/plan.js';

const rowId = (generation: string, chunk: string, rev: number): string =>
  `${generation}/${chunk}/${rev}`;
const chunkOf = (row: string): string => row.split('/')[1] ?? '';

/** One document in one generation: a ledger, a store, and requests that are still on their way to it. */
class Model {
  manifest: { rowIds: string[]; chunkIds: string[] } | undefined;
  open: OpenRows[] = [];
  readonly rows = new Set<string>();
  readonly listed = new Set<string>();
  readonly late: (() => void)[] = [];
  #rev = 0;

  /** A write that gets as far as `steps` (1 intent, 2 adds, 3 deletes, 4 commit); its requests may arrive again. */
  write(chunkIds: string[], steps: number): RowPlan {
    const rev = ++this.#rev;
    const { manifest, open } = this;
    const plan = planRows({ generationId: 'g', rev, chunkIds, manifest, open, rowId });
    const retry = planRows({
      generationId: 'g',
      rev,
      chunkIds: [],
      manifest,
      open: [...open, { rev, ...plan }],
      rowId,
    });
    expect(retry).toEqual(plan);
    expect([...plan.rowIds, ...plan.addRowIds].filter((row) => this.listed.has(row))).toEqual([]);
    plan.deleteRowIds.forEach((row) => this.listed.add(row));
    this.open = [...open, { rev, ...plan }];
    const add = () => plan.addRowIds.forEach((row) => this.rows.add(row));
    const remove = () => plan.deleteRowIds.forEach((row) => this.rows.delete(row));
    if (steps >= 2) add();
    if (steps >= 3) remove();
    this.late.push(add, remove);
    if (steps >= 4) {
      this.manifest = { rowIds: plan.rowIds, chunkIds };
      this.open = [];
    }
    return plan;
  }

  read(): string[] {
    return (this.manifest?.rowIds ?? []).filter((row) => this.rows.has(row)).map(chunkOf);
  }
}

const text = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 5 });
const attempt = fc.record({
  text,
  steps: fc.integer({ min: 1, max: 4 }),
  lateAt: fc.array(fc.nat(), { maxLength: 3 }),
});
const history = fc.record({
  attempts: fc.array(attempt, { maxLength: 8 }),
  last: text,
  zombies: fc.array(fc.nat(), { maxLength: 30 }),
});

test('[W1, W2] after the last commit, readers find exactly its text, whatever crashed and whoever comes late', () => {
  fc.assert(
    fc.property(history, ({ attempts, last, zombies }) => {
      const model = new Model();
      const comeLate = (picks: number[]) =>
        picks.forEach((pick) => model.late[pick % model.late.length]?.());
      for (const { text: chunks, steps, lateAt } of attempts) {
        model.write(chunks, steps);
        comeLate(lateAt);
      }
      model.write(last, 4);
      expect(model.read()).toEqual(last);
      for (const pick of zombies) {
        comeLate([pick]);
        expect(model.read()).toEqual(last);
      }
      const orphans = [...model.rows].filter((row) => !model.manifest?.rowIds.includes(row));
      expect(orphans.filter((row) => !model.listed.has(row))).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

test('a chunk that stands is kept: nothing is written for it and nothing of it deleted', () => {
  fc.assert(
    fc.property(text, text, (before, after) => {
      const model = new Model();
      model.write(before, 4);
      const plan = model.write(after, 4);
      expect(plan.addRowIds.map(chunkOf)).toEqual(after.filter((chunk) => !before.includes(chunk)));
      expect(plan.deleteRowIds.map(chunkOf)).toEqual(
        before.filter((chunk) => !after.includes(chunk)),
      );
    }),
  );
});

test('a revision that was planned before is refused: its ids may have been deleted', () => {
  const open = [
    { rev: 2, rowIds: ['g/a/1'], addRowIds: ['g/a/1'], deleteRowIds: [] },
    { rev: 3, rowIds: [], addRowIds: [], deleteRowIds: ['g/a/1'] },
  ];
  expect(() => planRows({ generationId: 'g', rev: 1, chunkIds: ['a'], open, rowId })).toThrow(
    RangeError,
  );
});
