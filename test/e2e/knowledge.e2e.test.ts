import { createHash } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Json, TourClient } from '../../src/main/tour-client.js';
import type { People } from '../../src/main/tour-people.js';
import { buildDocx, buildPdf, wordParagraph } from '../etl/fixtures/build-documents.js';
import { eventually } from '../support/eventually.js';
import { startStack, type Stack } from '../support/stack.js';

// A user's documents, end to end (etl.md §16): five small files of five types in a folder, through the public API.

const PURPOSE = 'support';
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

async function writeFiles(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const files: Record<string, string | Buffer> = {
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
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
}

/** A collection that follows a folder of its own. */
async function follow(steward: TourClient, name: string) {
  const folder = join(stack.stateDir, name);
  await writeFiles(folder);
  const collection = await steward.post('/v1/collections', {
    name,
    aclDefault: ['group:data-steward'],
    purposes: [PURPOSE],
  });
  const collectionId = String(collection.id);
  const source = await steward.post('/v1/sources', {
    collectionId,
    name: 'folder',
    kind: 'folder',
    config: { path: folder, csv: { keyColumn: 'id', titleColumn: 'question' } },
  });
  return { folder, collectionId, sourceId: String(source.id) };
}
type Followed = Awaited<ReturnType<typeof follow>>;

async function documentsOf(client: TourClient, { sourceId }: Followed): Promise<Map<string, Json>> {
  const { items } = await client.get(`/v1/documents?sourceId=${sourceId}&limit=200`);
  return new Map((items as Json[]).map((document) => [String(document.key), document]));
}

const document = async (client: TourClient, of: Followed, key: string): Promise<Json> => {
  const found = (await documentsOf(client, of)).get(key);
  if (found === undefined) throw new Error(`no document ${key}`);
  return client.get(`/v1/documents/${String(found.id)}`);
};

/** A scan now; one that runs already will do. */
const scan = ({ sourceId }: Followed): Promise<unknown> =>
  people.steward
    .post(`/v1/sources/${sourceId}:scan`, {}, { prefer: 'wait=0' })
    .catch((error: unknown) => {
      if (!String(error).includes('SCAN_RUNNING')) throw error;
    });

const untilIndexed = (of: Followed, keys: readonly string[]) =>
  eventually(
    async () => {
      const documents = await documentsOf(people.steward, of);
      const states = Object.fromEntries(keys.map((key) => [key, documents.get(key)?.state]));
      expect(states).toEqual(Object.fromEntries(keys.map((key) => [key, 'INDEXED'])));
    },
    { timeoutMs: 120_000 },
  );

interface Hit {
  text: string;
  citation: {
    documentId: string;
    revision: number;
    start: number;
    end: number;
    textSha256: string;
    title: string;
    page: number | null;
    headingPath: string[];
  };
}

async function search(
  client: TourClient,
  { collectionId }: Followed,
  text: string,
  more: object = {},
): Promise<Hit[]> {
  const answer = await client.post(`/v1/collections/${collectionId}:query`, {
    text,
    purpose: PURPOSE,
    k: 10,
    ...more,
  });
  return answer.hits as Hit[];
}

/** Slices the whole text of the revision at the citation, and lets the platform verify it as well. */
async function checkCitation(client: TourClient, { text, citation }: Hit): Promise<void> {
  const { documentId, revision, start, end, textSha256 } = citation;
  const whole = await client.get(
    `/v1/documents/${documentId}/revisions/${revision}/text?purpose=${PURPOSE}`,
  );
  expect(String(whole.text).slice(start, end)).toBe(text);
  expect(createHash('sha256').update(text, 'utf8').digest('hex')).toBe(textSha256);
  const { verdicts } = (await client.post('/v1/citations:verify', {
    purpose: PURPOSE,
    citations: [{ documentId, revision, start, end, textSha256 }],
  })) as { verdicts: { verdict: string }[] };
  expect(verdicts.map(({ verdict }) => verdict)).toEqual(['VALID']);
}

/** Each of the five files answers its question first, with a citation that holds. */
async function checkAnswers(of: Followed): Promise<void> {
  const documents = await documentsOf(people.steward, of);
  for (const [key, { ask, says }] of Object.entries(questions)) {
    const hits = await search(people.steward, of, ask);
    const [first] = hits;
    expect({ key, id: first?.citation.documentId }).toEqual({ key, id: documents.get(key)?.id });
    expect(first?.text.toLowerCase()).toContain(says);
    for (const hit of hits) await checkCitation(people.steward, hit);
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
  let followed: Followed;

  it('[G1][G8] becomes searchable, and every citation slices to the text that was found', async () => {
    followed = await follow(people.steward, 'handbook');
    await untilIndexed(followed, allKeys);
    await checkAnswers(followed);
    const pdf = (await search(people.steward, followed, questions['report.pdf'].ask))[0];
    expect(pdf?.citation).toMatchObject({ title: 'Quarterly report', page: 2 });
    const md = (await search(people.steward, followed, questions['guide.md'].ask))[0];
    expect(md?.citation).toMatchObject({ title: 'Operations guide' });
    expect(md?.citation.headingPath).toContain('Rotating a key');
    expect((await search(people.steward, followed, 'steal imprint'))[0]?.text ?? '').not.toMatch(
      /steal\(|Imprint/,
    );
    const filtered = await search(people.steward, followed, 'key', {
      filter: { team: 'platform' },
    });
    expect(new Set(filtered.map(({ citation }) => citation.title))).toEqual(
      new Set(['Operations guide']),
    );
  }, 240_000);

  it('[G4] embeds one chunk where a paragraph changes, and one row where a row does', async () => {
    const before = await document(people.steward, followed, 'guide.md');
    const otherRow = await document(people.steward, followed, 'faq.csv#Q2');
    await writeFile(
      join(followed.folder, 'guide.md'),
      guide('To rotate a signing key, ask the vault for a new one; it revokes the old one itself.'),
    );
    await writeFile(
      join(followed.folder, 'faq.csv'),
      faq('The warranty lasts three years from the day of delivery.'),
    );
    await scan(followed);
    await eventually(
      async () => {
        const hits = await search(people.steward, followed, 'vault for a new signing key');
        expect(hits[0]?.text).toContain('ask the vault');
        const rows = await search(people.steward, followed, 'how long is the warranty');
        expect(rows[0]?.text).toContain('three years');
      },
      { timeoutMs: 90_000 },
    );
    const after = await document(people.steward, followed, 'guide.md');
    const known = new Set(chunkIds(before));
    expect(chunkIds(after).filter((id) => !known.has(id))).toHaveLength(1);
    expect(await document(people.steward, followed, 'faq.csv#Q2')).toMatchObject({
      revision: otherRow.revision,
    });
    const old = await search(people.steward, followed, 'revoke the old one a day later');
    expect(old.map(({ text }) => text).join()).not.toContain('a day later');
  }, 180_000);

  it('[G3] holds a narrower access list without embedding anything again', async () => {
    const ids = chunkIds(await document(people.steward, followed, 'guide.md'));
    await writeFile(
      join(followed.folder, 'guide.md'),
      guide(
        'To rotate a signing key, ask the vault for a new one; it revokes the old one itself.',
        'group:board',
      ),
    );
    await scan(followed);
    await eventually(
      async () => {
        const hits = await search(people.steward, followed, 'vault for a new signing key');
        expect(hits.map(({ citation }) => citation.title)).not.toContain('Operations guide');
      },
      { timeoutMs: 90_000 },
    );
    const after = await document(people.steward, followed, 'guide.md');
    expect(after.acl).toEqual(['group:board']);
    expect(chunkIds(after)).toEqual(ids);
  }, 120_000);

  it('[G3][G6] forgets a renamed file under its old name, and a deleted one at once', async () => {
    await rename(join(followed.folder, 'page.html'), join(followed.folder, 'leave.html'));
    await rm(join(followed.folder, 'policy.docx'));
    await scan(followed);
    await untilIndexed(followed, ['leave.html']);
    await eventually(
      async () => {
        const documents = await documentsOf(people.steward, followed);
        expect(documents.get('page.html')?.state).toBe('DELETED');
        expect(documents.get('policy.docx')?.state).toBe('DELETED');
      },
      { timeoutMs: 60_000 },
    );
    const trip = await search(people.steward, followed, questions['policy.docx'].ask);
    expect(trip.map(({ text }) => text).join()).not.toContain('business trip');
    const leave = await search(people.steward, followed, questions['page.html'].ask);
    const renamed = await document(people.steward, followed, 'leave.html');
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

describe('kill -9 of the worker in the middle', () => {
  it('[G1] leaves the same answers, each document once, and no intent open', async () => {
    const followed = await follow(people.steward, 'handbook-killed');
    const many = 120;
    for (let n = 0; n < many; n += 1)
      await writeFile(
        join(followed.folder, `note-${n}.md`),
        `# Note ${n}\n\nThis note has the number ${n} and speaks of nothing else at all.\n`,
      );
    await scan(followed);
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
    await untilIndexed(followed, [...allKeys, ...notes]);
    await checkAnswers(followed);
    const hits = await search(people.steward, followed, 'number 77', { mode: 'lexical' });
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
