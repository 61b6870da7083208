import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Json } from '../../src/main/tour-client.js';
import type { People } from '../../src/main/tour-people.js';
import {
  buildDocx,
  buildLockedPdf,
  buildPdf,
  buildZip,
  wordParagraph,
} from '../etl/fixtures/build-documents.js';
import { eventually } from '../support/eventually.js';
import { startStack, type Stack } from '../support/stack.js';
import { followFolder, type Files, type FollowedFolder } from './followed-folder.js';

// A user's documents, end to end (etl.md §16): five small files of five types in a folder, through the public API.

const guide = (rotation: string, acl = 'group:data-steward') => `---
title: Operations guide
acl: [${acl}]
team: platform
---
# Operations guide

## Rotating a key

${rotation}

## Restarting

Stop the service, wait for the queue to drain, then start it again on the second node.
`;
const FIRST_ROTATION =
  'To rotate a signing key, create the new one, publish it, and revoke the old one a day later.';
const page = `<!doctype html><html><head><title>Holidays</title><script>steal()</script></head><body>
<nav>Home Imprint</nav><main><h1>Holidays</h1><p>Everyone has thirty days of leave a year. Unused leave of
one year is taken by the end of March of the next, or it lapses without replacement.</p>
<table><tr><th>Country</th><th>Days</th></tr><tr><td>Norway</td><td>25</td></tr></table></main></body></html>`;
const faq = (answer: string) =>
  `id,question,answer\nQ1,How long is the warranty?,${answer}\nQ2,Who pays for shipping?,We pay for shipping within the country and you pay abroad.\n`;

/** What each file is asked for, and the text that has to be cited. */
const questions = {
  'guide.md': { ask: 'how do I rotate a signing key', says: 'rotate a signing key' },
  'page.html': { ask: 'when does unused leave lapse', says: 'thirty days of leave' },
  'report.pdf': { ask: 'turbine revenue in the second quarter', says: 'turbine' },
  'policy.docx': { ask: 'who approves a business trip', says: 'business trip' },
  'faq.csv#Q1': { ask: 'how long is the warranty', says: 'two years' },
} as const;
type Key = keyof typeof questions;

let stack: Stack;
let people: People;

const fiveFiles = (): Files => ({
  'guide.md': guide(FIRST_ROTATION),
  'page.html': page,
  'report.pdf': buildPdf(
    [
      ['Quarterly report of the works', 'Costs of steel stayed level all year.'],
      ['Revenue of the turbine business', 'rose by nine percent in the second quarter.'],
    ],
    'Quarterly report',
  ),
  'policy.docx': buildDocx(
    wordParagraph('Travel policy', 'Heading1') +
      wordParagraph(
        'A business trip is approved by the head of the department before it is booked.',
      ),
    'Travel policy',
  ),
  'faq.csv': faq('The warranty lasts two years from the day of delivery.'),
});

const follow = (name: string, files: Files = fiveFiles()): Promise<FollowedFolder> =>
  followFolder(people.steward, { parent: stack.stateDir, name }, files);

/** Each of the five files answers its question first, with a citation that holds. */
async function checkAnswers(of: FollowedFolder): Promise<void> {
  const documents = await of.documents();
  for (const [key, { ask, says }] of Object.entries(questions)) {
    const hits = await of.search(ask);
    const [first] = hits;
    expect({ key, id: first?.citation.documentId }).toEqual({ key, id: documents.get(key)?.id });
    expect(first?.text.toLowerCase()).toContain(says);
    for (const hit of hits) await of.checkCitation(hit);
  }
}

const chunkIds = (of: Json): string[] => (of.chunks as { id: string }[]).map(({ id }) => id);
const allKeys = [...(Object.keys(questions) as Key[]), 'faq.csv#Q2'];

beforeAll(async () => {
  stack = await startStack();
  people = await stack.people();
}, 600_000);
afterAll(() => stack.close(), 120_000);

describe('a folder of documents', () => {
  let followed: FollowedFolder;

  it('[G1][G8] becomes searchable, and every citation slices to the text that was found', async () => {
    followed = await follow('handbook');
    await followed.untilIndexed(allKeys);
    await checkAnswers(followed);
    const pdf = (await followed.search(questions['report.pdf'].ask))[0];
    expect(pdf?.citation).toMatchObject({ title: 'Quarterly report', page: 2 });
    const md = (await followed.search(questions['guide.md'].ask))[0];
    expect(md?.citation).toMatchObject({ title: 'Operations guide' });
    expect(md?.citation.headingPath).toContain('Rotating a key');
    expect((await followed.search('steal imprint'))[0]?.text ?? '').not.toMatch(/steal\(|Imprint/);
    const filtered = await followed.search('key', {
      filter: { team: 'platform' },
    });
    expect(new Set(filtered.map(({ citation }) => citation.title))).toEqual(
      new Set(['Operations guide']),
    );
  }, 240_000);

  it('[G4] embeds one chunk where a paragraph changes, and one row where a row does', async () => {
    const before = await followed.document('guide.md');
    const otherRow = await followed.document('faq.csv#Q2');
    await followed.write({
      'guide.md': guide(
        'To rotate a signing key, ask the vault for a new one; it revokes the old one itself.',
      ),
    });
    await followed.write({
      'faq.csv': faq('The warranty lasts three years from the day of delivery.'),
    });
    await followed.scan();
    await eventually(
      async () => {
        const hits = await followed.search('vault for a new signing key');
        expect(hits[0]?.text).toContain('ask the vault');
        const rows = await followed.search('how long is the warranty');
        expect(rows[0]?.text).toContain('three years');
      },
      { timeoutMs: 90_000 },
    );
    const after = await followed.document('guide.md');
    const known = new Set(chunkIds(before));
    expect(chunkIds(after).filter((id) => !known.has(id))).toHaveLength(1);
    expect(await followed.document('faq.csv#Q2')).toMatchObject({
      revision: otherRow.revision,
    });
    const old = await followed.search('revoke the old one a day later');
    expect(old.map(({ text }) => text).join()).not.toContain('a day later');
  }, 180_000);

  it('[G3] holds a narrower access list without embedding anything again', async () => {
    const ids = chunkIds(await followed.document('guide.md'));
    await followed.write({
      'guide.md': guide(
        'To rotate a signing key, ask the vault for a new one; it revokes the old one itself.',
        'group:board',
      ),
    });
    await followed.scan();
    await eventually(
      async () => {
        const hits = await followed.search('vault for a new signing key');
        expect(hits.map(({ citation }) => citation.title)).not.toContain('Operations guide');
      },
      { timeoutMs: 90_000 },
    );
    const after = await followed.document('guide.md');
    expect(after.acl).toEqual(['group:board']);
    expect(chunkIds(after)).toEqual(ids);
  }, 120_000);

  it('[G3][G6] forgets a renamed file under its old name, and a deleted one at once', async () => {
    await rename(join(followed.folder, 'page.html'), join(followed.folder, 'leave.html'));
    await rm(join(followed.folder, 'policy.docx'));
    await followed.scan();
    await followed.untilIndexed(['leave.html']);
    await eventually(
      async () => {
        const documents = await followed.documents();
        expect(documents.get('page.html')?.state).toBe('DELETED');
        expect(documents.get('policy.docx')?.state).toBe('DELETED');
      },
      { timeoutMs: 60_000 },
    );
    const trip = await followed.search(questions['policy.docx'].ask);
    expect(trip.map(({ text }) => text).join()).not.toContain('business trip');
    const leave = await followed.search(questions['page.html'].ask);
    const renamed = await followed.document('leave.html');
    expect(leave[0]?.citation.documentId).toBe(renamed.id);
  }, 120_000);

  it('shows its run in the Temporal Web UI with what is claimed, indexed and waiting', async () => {
    const { workflowId } = await people.steward.get(`/v1/sources/${followed.sourceId}`);
    const client = await stack.temporal();
    const { searchAttributes, status } = await client.workflow
      .getHandle(String(workflowId))
      .describe();
    expect(status.name).toBe('RUNNING');
    expect(searchAttributes).toHaveProperty('Phase');
  });
});

describe('bad documents', () => {
  const total = 1_000;
  const bad: Record<string, { content: Buffer | string; reason: string }> = {
    'bomb.docx': {
      content: buildZip([{ name: 'word/document.xml', content: Buffer.alloc(150 * 2 ** 20) }]),
      reason: 'parse_limit',
    },
    'locked.pdf': { content: buildLockedPdf(), reason: 'encrypted' },
    'huge.txt': {
      content: Buffer.alloc(64 * 2 ** 20, 'all work and no play '),
      reason: 'parse_limit',
    },
    'broken.txt': { content: Buffer.alloc(4_000, 0x81), reason: 'mojibake' },
    'empty.md': { content: '# Hm', reason: 'empty_text' },
  };
  let followed: FollowedFolder;
  const items = async (state: string): Promise<Json[]> => {
    const { items: found } = await people.steward.get(
      `/v1/quarantine?sourceId=${followed.sourceId}&state=${state}&limit=200`,
    );
    return found as Json[];
  };
  const sourceNow = () => people.steward.get(`/v1/sources/${followed.sourceId}`);

  it('[G7] never stop the others: each is quarantined with its reason, the rest is found', async () => {
    const good = Array.from(
      { length: total - Object.keys(bad).length },
      (_, n): [string, string] => [
        `memo-${n}.md`,
        `# Memo ${n}\n\nThe reference of this memo is R${n}X, and there is no other like it.\n`,
      ],
    );
    followed = await follow('bad-documents', {
      ...Object.fromEntries(good),
      ...Object.fromEntries(Object.entries(bad).map(([name, { content }]) => [name, content])),
    });
    await eventually(
      async () => {
        const { documents, quarantined, backlog } = await sourceNow();
        expect({ documents, quarantined, backlog }).toMatchObject({
          documents: total,
          quarantined: Object.keys(bad).length,
          backlog: { pending: 0, claimed: 0 },
        });
      },
      { timeoutMs: 240_000 },
    );
    const { counts } = await people.steward.get(`/v1/collections/${followed.collectionId}`);
    expect(counts).toMatchObject({ documents: total, indexed: good.length });
    const reasons = await Promise.all(
      (await items('OPEN')).map(async ({ documentId, reason }) => {
        const { key } = await people.steward.get(`/v1/documents/${String(documentId)}`);
        return [key, reason];
      }),
    );
    expect(Object.fromEntries(reasons)).toEqual(
      Object.fromEntries(Object.entries(bad).map(([name, { reason }]) => [name, reason])),
    );
    for (const n of [0, 499, good.length - 1]) {
      const [hit] = await followed.search(`reference R${n}X`, { mode: 'lexical' });
      expect(hit?.text).toContain(`R${n}X`);
    }
  }, 300_000);

  it('are inspected, retried once mended, released or discarded by a steward', async () => {
    const open = await items('OPEN');
    const itemOf = (reason: string): string =>
      String(open.find((item) => item.reason === reason)?.id);
    const decide = (reason: string, verb: string) =>
      people.steward.post(`/v1/quarantine/${itemOf(reason)}:${verb}`, { reason: 'looked at it' });
    await followed.write({
      'locked.pdf': buildPdf([['The unlocked report speaks of kingfishers.']]),
    });
    await decide('encrypted', 'retry');
    await decide('mojibake', 'release');
    await decide('empty_text', 'discard');
    await eventually(
      async () => {
        const hits = await followed.search('kingfishers', { mode: 'lexical' });
        expect(hits[0]?.text).toContain('kingfishers');
        expect((await followed.document('broken.txt')).state).toBe('INDEXED');
      },
      { timeoutMs: 90_000 },
    );
    const { state, decision } = await people.steward.get(`/v1/quarantine/${itemOf('empty_text')}`);
    expect({ state, decision }).toMatchObject({
      state: 'DISCARDED',
      decision: { reason: 'looked at it' },
    });
    expect((await items('OPEN')).map(({ reason }) => reason)).toEqual([
      'parse_limit',
      'parse_limit',
    ]);
  }, 180_000);
});

describe('kill -9 of the worker in the middle', () => {
  it('[G1] leaves the same answers, each document once, and no intent open', async () => {
    const followed = await follow('handbook-killed');
    const many = 120;
    for (let n = 0; n < many; n += 1)
      await followed.write({
        [`note-${n}.md`]: `# Note ${n}\n\nThis note has the number ${n} and speaks of nothing else at all.\n`,
      });
    await followed.scan();
    await eventually(
      async () => {
        const [row] = await stack.sql(
          'select count(*)::int as n from etl_revision r join etl_document d using (tenant_id, doc_id) where d.source_id = $1',
          [followed.sourceId],
        );
        expect(Number(row?.n)).toBeGreaterThan(0);
      },
      { timeoutMs: 90_000, everyMs: 5 },
    );
    const killed = await stack.kill9('worker');
    await stack.back('worker', killed);
    const notes = Array.from({ length: many }, (_, n) => `note-${n}.md`);
    await followed.untilIndexed([...allKeys, ...notes]);
    await checkAnswers(followed);
    const hits = await followed.search('number 77', { mode: 'lexical' });
    expect(hits.filter(({ text }) => text.includes('number 77 '))).toHaveLength(1);
    const open = await stack.sql(
      `select count(*)::int as n from etl_intent i join etl_document d using (tenant_id, doc_id)
       where d.source_id = $1 and i.state = 'OPEN'`,
      [followed.sourceId],
    );
    expect(open[0]?.n).toBe(0);
    const reconciled = await people.operator.post(
      `/v1/collections/${followed.collectionId}:reconcile`,
      {},
    );
    expect(reconciled).toHaveProperty('id');
    await eventually(
      async () => {
        const { lastReconcile } = await people.steward.get(
          `/v1/collections/${followed.collectionId}`,
        );
        expect(lastReconcile).toMatchObject({ state: 'DONE', orphanRows: 0, missingRows: 0 });
      },
      { timeoutMs: 90_000 },
    );
  }, 600_000);
});
