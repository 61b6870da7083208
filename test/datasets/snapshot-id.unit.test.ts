import fc from 'fast-check';
import type { FieldValue } from '../../src/domain/datasets/field-check.js';
import { rowDigest } from '../../src/domain/datasets/row-digest.js';
import { createSnapshotHasher, snapshotIdOf } from '../../src/domain/datasets/snapshot-id.js';
import { contractOf } from './stage-table.js';

const contract = contractOf({
  fields: [
    { name: 'a', type: 'string', nullable: true },
    { name: 'b', type: 'number', nullable: true },
    { name: 'y', type: 'boolean' },
  ],
  label: { field: 'y', positive: true },
});
const terms = { contract, purposes: ['credit', 'fraud'], legalBasis: 'contract' };

// Any code point but the halves of a pair. The library's own unit of this kind makes a table of a million entries first.
const character = fc
  .oneof(fc.integer({ min: 0, max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
  .map((point) => String.fromCodePoint(point));
const value = fc.oneof(
  fc.string({ unit: character }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constant(null),
);
const row = fc.tuple(value, value, fc.boolean());
const rows = fc.array(row, { minLength: 1, maxLength: 30 });
const idOf = (all: readonly FieldValue[][]) => snapshotIdOf(terms, all.map(rowDigest));

describe('snapshot id', () => {
  it('is the same for every order of the rows', () => {
    fc.assert(
      fc.property(
        rows.chain((all) =>
          fc.tuple(
            fc.constant(all),
            fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }),
          ),
        ),
        ([all, mixed]) => idOf(all) === idOf(mixed),
      ),
    );
  });

  it('changes with any edit, any repeated row and any row left out', () => {
    fc.assert(
      fc.property(rows, row, fc.nat(), (all, other, index) => {
        const at = index % all.length;
        const at0 = all[at] ?? other;
        const id = idOf(all);
        expect(idOf([...all, at0])).not.toBe(id);
        expect(idOf(all.filter((_, i) => i !== at))).not.toBe(id);
        const isSame = rowDigest(other) === rowDigest(at0);
        expect(idOf(all.map((one, i) => (i === at ? other : one))) === id).toBe(isSame);
      }),
    );
  });

  it('covers contract, purposes (as a set) and legal basis', () => {
    const digests = [rowDigest(['x', 1, true])];
    const id = snapshotIdOf(terms, digests);
    const again = { ...terms, purposes: ['fraud', 'credit', 'fraud'] };
    expect(snapshotIdOf(again, digests)).toBe(id);
    const others = [
      { ...terms, purposes: ['credit'] },
      { ...terms, legalBasis: 'consent' },
      { ...terms, contract: { ...contract, keyFields: ['a'] } },
    ];
    const ids = others.map((other) => snapshotIdOf(other, digests));
    expect(new Set([id, ...ids]).size).toBe(4);
  });

  it('has one digest per row, whatever the type of a cell is mistaken for', () => {
    const digests = [[1], ['1'], [true], ['true'], [null], ['null'], [[1]]].map(rowDigest);
    expect(new Set(digests).size).toBe(digests.length);
    expect(rowDigest([-0])).toBe(rowDigest([0]));
    expect(rowDigest(['x', 39, true])).toBe(
      'sha256:2da4bc79ea97eedaa8ecc1bc60166f4150e1ff4dd066ad398445cfdb599938e2',
    );
  });

  it('refuses row digests out of order, which would make the id depend on it', () => {
    const [low = '', high = ''] = [rowDigest([1]), rowDigest([2])].sort();
    const hasher = createSnapshotHasher();
    hasher.add(high);
    expect(() => hasher.add(low)).toThrow(RangeError);
  });
});
