import fc from 'fast-check';
import { sealOf, type AuditLeaf } from '../../src/domain/audit/chain.js';
import { merkleRoot } from '../../src/domain/audit/merkle.js';
import { sha256 } from '../../src/domain/digest.js';

const hex = (text: string) => Buffer.from(text, 'hex');
// The inputs and roots of the reference implementation of RFC 6962 (certificate-transparency, merkle tree tests).
const inputs = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(hex);
const roots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

/** The definition, word for word. */
function byDefinition(leaves: Buffer[]): Buffer {
  const [only] = leaves;
  if (only === undefined) return sha256('');
  if (leaves.length === 1) return sha256(Buffer.concat([hex('00'), only]));
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  const halves = [byDefinition(leaves.slice(0, split)), byDefinition(leaves.slice(split))];
  return sha256(Buffer.concat([hex('01'), ...halves]));
}

test('roots agree with the reference vectors of RFC 6962', () => {
  expect(merkleRoot([]).toString('hex')).toBe(
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  );
  roots.forEach((root, i) => {
    expect(merkleRoot(inputs.slice(0, i + 1)).toString('hex')).toBe(root);
  });
});

test('roots agree with the recursive definition for any number of leaves', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 70 }), (leaves) => {
      expect(merkleRoot(leaves)).toEqual(byDefinition(leaves.map((leaf) => Buffer.from(leaf))));
    }),
  );
});

const leaf = (n: number): AuditLeaf => ({
  leafId: `lef_${n}`,
  kind: 'decision',
  digest: sha256(`${n}`),
  createdMicros: BigInt(n),
});

test('a seal does not depend on the order in which leaves are read, and on every column of each', () => {
  const leaves = Array.from({ length: 9 }, (_, n) => leaf(n));
  const seal = sealOf(leaves);
  expect(sealOf([...leaves].reverse())).toEqual(seal);
  const changes: Partial<AuditLeaf>[] = [
    { leafId: 'lef_x' },
    { kind: 'admission' },
    { digest: sha256('x') },
    { createdMicros: 99n },
  ];
  for (const change of changes) {
    expect(sealOf(leaves.with(4, { ...leaf(4), ...change })).root).not.toBe(seal.root);
  }
});
