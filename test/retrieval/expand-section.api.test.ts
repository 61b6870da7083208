import { createHash } from 'node:crypto';
import type { RetrievalAnswer } from '../../src/domain/retrieval/contract.js';
import { collectionId, only, upsert } from '../etl/ledger-world.js';
import { createRetrievalWorld, type RetrievalWorld } from './retrieval-world.js';

let world: RetrievalWorld;
let tenants = 0;
beforeAll(async () => {
  world = await createRetrievalWorld();
}, 60_000);
afterAll(() => world.close());

async function tenant(): Promise<string> {
  const id = `expand-${++tenants}`;
  await world.documents.seed(id);
  return id;
}

const reader = { roles: ['service' as const], groups: ['staff'], subject: 'prn_reader' };
const path = `POST /v1/collections/${collectionId}:query`;

async function ask(t: string, text: string, more: object = {}): Promise<RetrievalAnswer['hits']> {
  const body = { text, purpose: 'support', mode: 'lexical', expand: 'section', ...more };
  const answer = await world.send(path, { tenant: t, ...reader, body });
  if (answer.status !== 200) throw new Error(JSON.stringify(answer));
  return (answer.body as unknown as RetrievalAnswer).hits;
}

const verify = async (t: string, citations: RetrievalAnswer['hits'][number]['citation'][]) => {
  const body = { purpose: 'support', citations };
  const answer = await world.send('POST /v1/citations:verify', { tenant: t, ...reader, body });
  return (answer.body.verdicts as { verdict: string }[]).map(({ verdict }) => verdict);
};

/** The text of a revision, past the endpoint under test. */
async function textOf(
  t: string,
  { documentId, revision }: { documentId: string; revision: number },
) {
  const spans = [{ docId: documentId, rev: revision, start: 0, end: 1_000_000 }];
  const by = { spans, principals: ['group:staff'], purpose: 'support' };
  const read = only(await world.documents.reads.readSpans(t, by));
  if ('refused' in read) throw new Error(read.refused);
  return read.text;
}

const long = (topic: string): string =>
  `What the handbook says about ${topic} is told here at some length, so that this paragraph is a chunk of its own, ` +
  `and so that whoever looks for ${topic} finds it and nothing else beside it in the same chunk.`;
const guide = [
  ...['# Keys', long('rotation'), long('escrow'), long('revocation')],
  ...['# Lamps', long('bulbs'), long('shades')],
];
const keys = guide.slice(0, 4).join('\n\n');

test('a hit comes with its section, whose citation is verified by slicing the revision', async () => {
  const t = await tenant();
  await world.documents.put(t, {
    'guide.txt': guide.join('\n\n'),
    'b.txt': `# Keys\n\n${long('doors')}`,
  });
  await world.documents.run(t);
  const hit = only((await ask(t, 'escrow')).slice(0, 1));
  expect(hit.text).toBe(long('escrow'));
  expect(hit.section).toMatchObject({ text: keys, whole: true });
  const cited = hit.section?.citation;
  if (cited === undefined) throw new Error('no section');
  expect(cited).toMatchObject({ revision: 1, unit: 'utf16', headingPath: ['Keys'], start: 0 });
  expect(cited.documentId).toBe(hit.citation.documentId);
  const sliced = (await textOf(t, cited)).slice(cited.start, cited.end);
  expect(createHash('sha256').update(sliced).digest('hex')).toBe(cited.textSha256);
  expect(sliced).toBe(hit.section?.text);
  const wrong = { ...cited, end: cited.end - 1 };
  expect(await verify(t, [cited, hit.citation, wrong])).toEqual(['VALID', 'VALID', 'MISMATCH']);
  // Not asked for: not there. Asked for something else: refused by name.
  expect(only(await ask(t, 'escrow', { k: 1, expand: undefined }))).not.toHaveProperty('section');
  const body = { text: 'escrow', purpose: 'support', expand: 'document' };
  expect(await world.send(path, { tenant: t, ...reader, body })).toMatchObject({
    status: 400,
    body: { code: 'INVALID_REQUEST', errors: [{ pointer: '/expand' }] },
  });
});

test('a long section is cut between chunks, holds its hit, and says that it goes on', async () => {
  const t = await tenant();
  const parts = Array.from({ length: 60 }, (_, at) => long(`topic${at}`));
  await world.documents.put(t, { 'long.txt': ['# All', ...parts].join('\n\n') });
  await world.documents.run(t);
  const hit = only(await ask(t, 'topic30', { k: 1 }));
  const { section } = hit;
  if (section === undefined) throw new Error('no section');
  expect(section.whole).toBe(false);
  expect(section.text.length).toBeLessThanOrEqual(8_000);
  expect(section.text.length).toBeGreaterThan(7_000);
  expect(section.text).toContain(hit.text);
  const inside = section.text.split('\n\n');
  expect(inside).toEqual(
    parts.slice(parts.indexOf(inside[0] ?? ''), parts.indexOf(inside.at(-1) ?? '') + 1),
  );
  expect(await verify(t, [section.citation])).toEqual(['VALID']);
});

test('[G2] text that is committed, hidden or closed while an answer is made is in no section of it', async () => {
  const t = await tenant();
  const put = (text: string) => world.documents.put(t, { 'guide.txt': text });
  await put(guide.join('\n\n'));
  await world.documents.run(t);
  world.between(async () => {
    await put(guide.join('\n\n').replaceAll('revocation', 'recall'));
    await world.documents.run(t);
  });
  const old = only(await ask(t, 'escrow', { k: 1 }));
  expect(old.section).toMatchObject({ text: keys, citation: { revision: 1 } });
  const fresh = only(await ask(t, 'escrow', { k: 1 }));
  expect(fresh.section?.citation.revision).toBe(2);
  expect(fresh.section?.text).toBe(keys.replaceAll('revocation', 'recall'));
  if (old.section === undefined || fresh.section === undefined) throw new Error('no section');
  const both = [old.section.citation, fresh.section.citation];
  expect(await verify(t, both)).toEqual(['SUPERSEDED', 'VALID']);
  const acl = (to: string[]) =>
    world.documents.record(t, {
      ...upsert('guide.txt', `acl ${to.join()}`),
      ...{ kind: 'acl', priority: 2, content: { name: 'guide.txt', acl: to } },
    });
  world.between(() => acl(['group:board']));
  expect(await ask(t, 'escrow')).toEqual([]);
  expect(await ask(t, 'escrow')).toEqual([]);
  expect(await verify(t, both)).toEqual(['MISMATCH', 'MISMATCH']);
});

test('no section holds text of another document, of another tenant, or for another reader', async () => {
  const t = await tenant();
  const secret = `# Keys\n\n${long('escrow')}\n\n${long('vaults')}`;
  await world.documents.put(t, { 'board.txt': secret }, { acl: ['group:board'] });
  await world.documents.put(t, { 'guide.txt': keys, 'more.txt': `# Keys\n\n${long('escrow')}` });
  await world.documents.run(t);
  const other = await tenant();
  await world.documents.put(other, { 'guide.txt': secret });
  await world.documents.run(other);
  const hits = await ask(t, 'escrow', { k: 50 });
  expect(new Set(hits.map(({ citation }) => citation.documentId)).size).toBe(2);
  for (const { section, citation } of hits) {
    if (section === undefined) throw new Error('no section');
    expect(section.citation.documentId).toBe(citation.documentId);
    expect(await textOf(t, section.citation)).toContain(section.text);
    expect(section.text).not.toContain('vaults');
  }
  const board = { ...reader, groups: ['board'] };
  const body = { text: 'escrow', purpose: 'support', mode: 'lexical', expand: 'section' };
  const answer = await world.send(path, { tenant: t, ...board, body });
  const seen = (answer.body as unknown as RetrievalAnswer).hits.map(({ section }) => section?.text);
  expect(seen).toContain(secret);
  expect(new Set(seen)).toEqual(new Set([secret]));
});
