import { lostEntries, restoreRefusals } from '../../src/domain/backup/judge-restore.js';

const stoppedAt = '2026-01-31T12:00:00.000Z';
const situation = {
  manifest: { stoppedAt, schema: { version: 'b', count: 2, digest: 'd' } },
  atMs: undefined as number | undefined,
  nowMs: Date.parse('2026-01-31T13:00:00.000Z'),
  knownMigrations: ['a', 'b', 'c'],
  targetHasDatabase: false,
  replace: false,
};

describe('a restore', () => {
  it.each<[string, Partial<typeof situation>, string | undefined]>([
    ['into an empty folder is allowed', {}, undefined],
    ['over a database needs a word', { targetHasDatabase: true }, '--replace'],
    [
      'over a database with that word is allowed',
      { targetHasDatabase: true, replace: true },
      undefined,
    ],
    [
      'to a time before the backup was complete is refused',
      { atMs: Date.parse(stoppedAt) - 1 },
      'earlier backup',
    ],
    ['to that very time is allowed', { atMs: Date.parse(stoppedAt) }, undefined],
    ['to a time to come is refused', { atMs: situation.nowMs + 1 }, 'future'],
    ['of a schema that is not known is refused', { knownMigrations: ['a'] }, 'schema b'],
  ])('%s', (_, changed, reason) => {
    const refusals = restoreRefusals({ ...situation, ...changed });
    if (reason === undefined) expect(refusals).toEqual([]);
    else expect(refusals).toEqual([expect.stringContaining(reason)]);
  });

  it('says every reason at once', () => {
    const all = { targetHasDatabase: true, knownMigrations: [], atMs: situation.nowMs + 1 };
    expect(restoreRefusals({ ...situation, ...all })).toHaveLength(3);
  });

  it('lists what was witnessed of a chain and did not come back', () => {
    const witnessed = (size: number) => ({ size, at: stoppedAt });
    expect(
      lostEntries([
        { tenant: 'whole', size: 10, witnessed: witnessed(10) },
        { tenant: 'cut', size: 10, witnessed: witnessed(14) },
        { tenant: 'gone', size: 0, witnessed: witnessed(3) },
        { tenant: 'never-witnessed', size: 5, witnessed: undefined },
      ]),
    ).toEqual([
      { tenant: 'cut', from: 11, to: 14, witnessedAt: stoppedAt },
      { tenant: 'gone', from: 1, to: 3, witnessedAt: stoppedAt },
    ]);
  });
});
