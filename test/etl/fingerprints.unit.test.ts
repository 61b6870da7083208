import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { digestOf, sha256Hex } from '../../src/domain/digest.js';
import type { RevisionText } from '../../src/domain/etl/document.js';
import {
  aclHash,
  chunkFp,
  chunkId,
  docId,
  embedTextHash,
  metaHash,
  parseFp,
  pipelineFp,
  rawHash,
  rowId,
  textHash,
  uuid8,
} from '../../src/domain/etl/fingerprints.js';
import { parserVersions } from '../../src/domain/etl/media-types.js';
import { documentIdSchema } from '../../src/domain/ids.js';

const key = new Uint8Array(32).fill(7);
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('a uuid8 keeps 122 bits of its hash and carries version 8 and the RFC variant', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const hash = Buffer.from(bytes).toString('hex');
      const id = uuid8(hash);
      expect(id).toMatch(uuidPattern);
      expect(documentIdSchema.safeParse(id).success).toBe(true);
      const expected = Buffer.from(bytes.subarray(0, 16));
      expected[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
      expected[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
      expect(id.replaceAll('-', '')).toBe(expected.toString('hex'));
    }),
  );
});

test('a document id is keyed, and no part of it runs into the next', () => {
  expect(docId(key, 'src_a', 'b.md')).toBe(docId(key, 'src_a', 'b.md'));
  expect(docId(key, 'src_a', 'b.md')).not.toBe(docId(new Uint8Array(32), 'src_a', 'b.md'));
  expect(docId(key, 'src_a', 'b.md')).not.toBe(docId(key, 'src_', 'ab.md'));
});

test('equal chunks differ by occurrence, equal chunks of two documents by document', () => {
  const hash = embedTextHash('the same paragraph');
  const first = docId(key, 'src_a', 'one');
  const ids = [chunkId(first, hash, 0), chunkId(first, hash, 1)];
  ids.push(chunkId(docId(key, 'src_a', 'two'), hash, 0), chunkId(first, embedTextHash('else'), 0));
  expect(new Set(ids).size).toBe(4);
  for (const id of ids) expect(id).toMatch(uuidPattern);
});

test('a row written again by a later revision, or for another generation, has another id', () => {
  const chunk = chunkId(docId(key, 'src_a', 'one'), embedTextHash('x'), 0);
  const ids = [rowId('gen_1', chunk, 1), rowId('gen_1', chunk, 2), rowId('gen_2', chunk, 1)];
  expect(new Set(ids).size).toBe(3);
});

test('hashes of different kinds over equal content differ, and each is the SHA-256 of tag, zero byte, content', () => {
  const text = 'grüße 🙂';
  const hashes = [embedTextHash(text), rawHash(new TextEncoder().encode(text))];
  hashes.push(textHash({ title: '', text, blocks: [] }), digestOf('anneal.etl.text', text));
  expect(new Set(hashes).size).toBe(hashes.length);
  expect(embedTextHash(text)).toBe(`sha256:${sha256Hex(`anneal.etl.embed-text\0${text}`)}`);
  expect(textHash({ title: 'a', text: 'b', blocks: [] })).not.toBe(
    textHash({ title: '', text: 'ab', blocks: [] }),
  );
});

test('a revision whose words stay but whose heading changes its level is another revision', () => {
  const revision = (level: number): RevisionText => ({
    title: 't',
    text: 'Part',
    blocks: [{ kind: 'heading', level, start: 0, end: 4 }],
  });
  expect(textHash(revision(1))).toBe(textHash(revision(1)));
  expect(textHash(revision(1))).not.toBe(textHash(revision(2)));
});

test('access hashes ignore order and repetition; metadata hashes see nested values and ignore key order', () => {
  const access = { acl: ['user:a', 'group:b', 'user:a'], deniedPurposes: [] };
  expect(aclHash(access)).toBe(aclHash({ acl: ['group:b', 'user:a'], deniedPurposes: [] }));
  expect(aclHash(access)).not.toBe(aclHash({ acl: ['group:b'], deniedPurposes: ['user:a'] }));
  expect(metaHash({ a: 1, b: { c: [1, 2] } })).toBe(metaHash({ b: { c: [1, 2] }, a: 1 }));
  expect(metaHash({ a: 1, b: { c: [1, 2] } })).not.toBe(metaHash({ a: 1, b: { c: [1, 3] } }));
});

test('a pipeline is told apart by media type, PII policy, PII key and chunk sizes', () => {
  const pii = { policyVersion: '1', keyId: 'k1' };
  const sizes = { target: 1200, max: 1600 };
  const fingerprints = [
    pipelineFp(parseFp('text/plain', pii), chunkFp(sizes)),
    pipelineFp(parseFp('text/html', pii), chunkFp(sizes)),
    pipelineFp(parseFp('text/plain', { ...pii, policyVersion: '2' }), chunkFp(sizes)),
    pipelineFp(parseFp('text/plain', { ...pii, keyId: 'k2' }), chunkFp(sizes)),
    pipelineFp(parseFp('text/plain', pii), chunkFp({ target: 800, max: 1600 })),
    pipelineFp(
      parseFp('text/plain', pii),
      chunkFp({ ...sizes, tokens: { tokenizer: 'cl100k', max: 8191 } }),
    ),
  ];
  expect(new Set(fingerprints).size).toBe(fingerprints.length);
});

test('the versions in parse fingerprints are the versions that are installed', () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const named = Object.values(parserVersions)
    .flatMap((parser) => parser.split(' '))
    .filter((part) => !part.startsWith('anneal@'));
  expect(named.length).toBeGreaterThan(5);
  for (const part of named) {
    const at = part.lastIndexOf('@');
    const name = part.slice(0, at);
    expect([name, dependencies[name] ?? devDependencies[name]]).toEqual([name, part.slice(at + 1)]);
  }
});
