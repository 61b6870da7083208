import { exceedsDeleteGuard } from '../../src/domain/etl/exceeds-delete-guard.js';

describe('the guard of mass deletions', () => {
  const guard = { guardBp: 2_000, minDeletes: 20 };

  it('lets a scan delete exactly 20 % and no document more', () => {
    expect(exceedsDeleteGuard({ ...guard, deletes: 200, known: 1_000 })).toBe(false);
    expect(exceedsDeleteGuard({ ...guard, deletes: 201, known: 1_000 })).toBe(true);
  });

  it('never stops a scan that deletes 20 documents, however small the source', () => {
    expect(exceedsDeleteGuard({ ...guard, deletes: 20, known: 20 })).toBe(false);
    expect(exceedsDeleteGuard({ ...guard, deletes: 21, known: 21 })).toBe(true);
  });
});
