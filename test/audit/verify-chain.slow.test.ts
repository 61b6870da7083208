import fc from 'fast-check';
import { linkHash, type ChainRow } from '../../src/domain/audit/chain.js';
import { createChainVerifier, verifyChain } from '../../src/domain/audit/verify-chain.js';
import { sha256 } from '../../src/domain/digest.js';
import { buildChain, headOf, linkAll, type BuiltChain } from './chain-builder.js';

const faultOf = (chain: BuiltChain) => {
  const { fault } = verifyChain(chain);
  return fault === undefined ? undefined : { seq: fault.seq, kind: fault.kind };
};
const SIZE = 24;
const honest = () => buildChain({ size: SIZE, sealEvery: 6, checkpointEvery: 8 });
const unwitnessed = () => buildChain({ size: SIZE, sealEvery: 0, checkpointEvery: 0 });
const anySeq = fc.integer({ min: 1, max: SIZE });
const innerSeq = fc.integer({ min: 1, max: SIZE - 1 });
const without = (rows: ChainRow[], seq: number) => rows.filter((row) => row.seq !== seq);

/** A row rewritten with hashes that fit its predecessor. */
function rehashed(row: ChainRow, entry: string): ChainRow {
  const entryHash = sha256(entry);
  return { ...row, entry, entryHash, hash: linkHash(row.prevHash, { ...row, entryHash }) };
}

test('an honest chain is intact, whatever its size, seals and checkpoints', () => {
  fc.assert(
    fc.property(fc.nat(60), fc.nat(7), fc.nat(9), (size, sealEvery, checkpointEvery) => {
      const chain = buildChain({ size, sealEvery, checkpointEvery });
      expect(verifyChain(chain)).toMatchObject({
        status: 'intact',
        verified: size,
        checkpoints: chain.checkpoints.length,
        leaves: 3 * chain.leaves.size,
      });
    }),
  );
});

test('pages of any size give the verdict of the whole', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 }), fc.boolean(), (page, tampered) => {
      const chain = honest();
      if (tampered) chain.rows = without(chain.rows, 11);
      const verifier = createChainVerifier(chain);
      for (let at = 0; at < chain.rows.length; at += page) {
        const rows = chain.rows.slice(at, at + page);
        if (!verifier.add({ rows, leaves: chain.leaves })) break;
      }
      expect(verifier.finish()).toEqual(verifyChain(chain));
    }),
  );
});

test('any changed column of any row is an edit, named by its sequence', () => {
  const edits: ((row: ChainRow) => ChainRow)[] = [
    (row) => ({ ...row, entry: row.entry.replace('{', '{ ') }),
    (row) => ({ ...row, entry: '{"action":"x"}', entryHash: sha256('{"action":"x"}') }),
    (row) => ({ ...row, atMicros: row.atMicros + 1n }),
    (row) => ({ ...row, hash: sha256('x') }),
    (row) => ({ ...row, prevHash: sha256('x') }),
    (row) => ({ ...row, entryHash: sha256('x') }),
    (row) => rehashed(row, '{"action":"rewritten"}'),
  ];
  fc.assert(
    fc.property(anySeq, fc.constantFrom(...edits), fc.boolean(), (seq, edit, witnessed) => {
      const chain = witnessed ? honest() : unwitnessed();
      chain.rows = chain.rows.map((row) => (row.seq === seq ? edit(row) : row));
      expect(faultOf(chain)).toEqual({ seq, kind: 'edit' });
    }),
  );
});

test('a missing row is a delete, also where later ones are renumbered over it', () => {
  fc.assert(
    fc.property(innerSeq, fc.boolean(), (seq, renumber) => {
      const chain = unwitnessed();
      chain.rows = without(chain.rows, seq).map((row) =>
        renumber && row.seq > seq ? { ...row, seq: row.seq - 1 } : row,
      );
      expect(faultOf(chain)).toEqual({ seq, kind: 'delete' });
    }),
  );
});

test('two rows that changed places are a reorder at the first of them', () => {
  fc.assert(
    fc.property(anySeq, anySeq, (a, b) => {
      fc.pre(a !== b);
      const chain = unwitnessed();
      const swap = (seq: number) => (seq === a ? b : seq === b ? a : seq);
      chain.rows = chain.rows
        .map((row) => ({ ...row, seq: swap(row.seq) }))
        .sort((x, y) => x.seq - y.seq);
      expect(faultOf(chain)).toEqual({ seq: Math.min(a, b), kind: 'reorder' });
    }),
  );
});

test('a cut end is a truncation: against the head, and against a checkpoint where the head was cut too', () => {
  fc.assert(
    fc.property(innerSeq, fc.boolean(), (kept, cutHead) => {
      const chain = buildChain({ size: SIZE, sealEvery: 0, checkpointEvery: cutHead ? SIZE : 0 });
      chain.rows = chain.rows.slice(0, kept);
      if (cutHead) chain.head = headOf(chain.rows);
      expect(faultOf(chain)).toEqual({ seq: kept + 1, kind: 'truncate' });
    }),
  );
});

test('a chain that was emptied whole is a truncation at the first entry', () => {
  const chain = honest();
  expect(faultOf({ ...chain, rows: [], head: undefined })).toEqual({ seq: 1, kind: 'truncate' });
});

test('a rewritten end, whole in itself, is a fork at the first checkpoint that it contradicts', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: SIZE }), fc.nat(5), (from, more) => {
      const chain = buildChain({ size: SIZE, sealEvery: 0, checkpointEvery: 8 });
      const entries = chain.rows.map(({ seq, entry }) =>
        seq < from ? entry : `{"forged":${seq}}`,
      );
      for (let i = 0; i < more; i++) entries.push(`{"more":${i}}`);
      chain.rows = linkAll(chain.tenant, entries);
      chain.head = headOf(chain.rows);
      const firstContradicted = Math.ceil(from / 8) * 8;
      expect(faultOf(chain)).toEqual({ seq: firstContradicted, kind: 'fork' });
      expect(verifyChain(chain).witnessedTo).toBe(firstContradicted - 8);
    }),
  );
});

test('an edited, a removed and an added leaf are named by the entry that sealed them', () => {
  const [first, second, third] = honest().leaves.get(12) ?? [];
  if (first === undefined || second === undefined || third === undefined) throw new Error('leaves');
  const verdictWith = (leaves: (typeof first)[]) => {
    const chain = honest();
    chain.leaves.set(12, leaves);
    return faultOf(chain);
  };
  expect(verdictWith([third, first, second])).toBeUndefined();
  expect(verdictWith([first, third])).toEqual({ seq: 12, kind: 'delete' });
  expect(verdictWith([])).toEqual({ seq: 12, kind: 'delete' });
  expect(verdictWith([first, { ...second, kind: 'x' }, third])).toEqual({ seq: 12, kind: 'edit' });
  expect(verdictWith([first, second, third, { ...first, leafId: 'lef_new' }])).toEqual({
    seq: 12,
    kind: 'edit',
  });
});

test('a leaf that points at an entry which seals none is an edit there', () => {
  const chain = honest();
  chain.leaves.set(3, chain.leaves.get(6) ?? []);
  chain.leaves.delete(6);
  expect(faultOf(chain)).toEqual({ seq: 3, kind: 'edit' });
});

test('a head that does not belong to the last entry is an edit there', () => {
  const chain = honest();
  expect(faultOf({ ...chain, head: { seq: SIZE, hash: sha256('x') } })).toEqual({
    seq: SIZE,
    kind: 'edit',
  });
});

test('a chain of another tenant does not pass for one’s own', () => {
  const chain = honest();
  expect(faultOf({ ...chain, tenant: 'other', checkpoints: [] })).toEqual({ seq: 1, kind: 'edit' });
});

test('no random damage passes, and it is never named later than it began', () => {
  const damage = fc.record({
    seq: anySeq,
    column: fc.constantFrom('entry', 'entryHash', 'prevHash', 'hash'),
    byte: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (all) => {
      const chain = honest();
      for (const { seq, column, byte } of all) {
        const row = chain.rows[seq - 1];
        if (row === undefined) continue;
        const old =
          column === 'entry' ? Buffer.from(row.entry) : Buffer.from(row[column as 'hash']);
        const at = byte % old.length;
        // Bit 5 keeps the text printable, and no pair of changes to one byte undoes itself.
        old[at] = (old[at] ?? 0) ^ (column === 'entry' ? 0x20 : 0x01);
        const changed = column === 'entry' ? old.toString('latin1') : old;
        chain.rows[seq - 1] = { ...row, [column]: changed };
      }
      fc.pre(chain.rows.some((row, i) => !same(row, honest().rows[i])));
      const first = Math.min(
        ...chain.rows.flatMap((row, i) => (same(row, honest().rows[i]) ? [] : [row.seq])),
      );
      const fault = faultOf(chain);
      expect(fault?.seq).toBe(first);
    }),
    { numRuns: 200 },
  );
});

const same = (a: ChainRow, b: ChainRow | undefined): boolean =>
  b !== undefined &&
  a.entry === b.entry &&
  [a.entryHash, a.prevHash, a.hash].every((hash, i) =>
    Buffer.from(hash).equals(Buffer.from([b.entryHash, b.prevHash, b.hash][i] ?? [])),
  );
