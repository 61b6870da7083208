import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { childEnv } from '../../src/config.js';
import type { Json } from '../../src/main/tour-client.js';
import {
  buildDocx,
  buildLockedPdf,
  buildPdf,
  wordParagraph,
} from '../etl/fixtures/build-documents.js';
import { freshStackEnv, startStack, type Stack } from '../support/stack.js';

// The commands of etl.md §16 as a person types them, by the program that `npx anneal` runs.

const program = new URL('../../scripts/anneal.mjs', import.meta.url).pathname;
const files = {
  'guide.md': `---\ntitle: Operations guide\n---\n# Keys\n\nTo rotate a signing key, create the new one, publish it, and revoke the old one a day later.\n`,
  'page.html': `<html><head><title>Holidays</title></head><body><main><h1>Holidays</h1><p>Everyone has thirty days of leave a year, and unused leave lapses in March.</p></main></body></html>`,
  'report.pdf': buildPdf([
    ['First page of the report.'],
    ['Two more people join the support team in spring.'],
  ]),
  'policy.docx': buildDocx(
    wordParagraph('Trains are preferred over planes for journeys of less than six hours.'),
  ),
  'faq.csv': 'question,answer\nWhere is the canteen?,On the ground floor of building two.\n',
};

let stack: Stack;
let folder: string;
beforeAll(async () => {
  const env = await freshStackEnv();
  folder = join(env['ANNEAL_STATE_DIR'] ?? '', 'documents');
  await mkdir(join(folder, 'docs'), { recursive: true });
  for (const [name, content] of Object.entries(files))
    await writeFile(join(folder, 'docs', name), content);
  stack = await startStack(env);
  await stack.people();
}, 400_000);
afterAll(() => stack.close(), 120_000);

/** Runs one command line in the folder that holds `docs`; its answer is JSON, as for every program. */
async function anneal(line: string): Promise<{ code: number | null; answer: Json; err: string }> {
  const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(
    ([, quoted, word]) => quoted ?? word ?? '',
  );
  const env = { ...childEnv(stack.env), NODE_OPTIONS: '' };
  const child = spawn(process.execPath, [program, ...words], { cwd: folder, env });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, answer: (out === '' ? {} : JSON.parse(out)) as Json, err };
}

/** Outcome by file. */
const outcomesOf = (answer: Json): Record<string, string> =>
  Object.fromEntries(
    (answer.files as { key: string; outcome: string; reason?: string }[]).map(
      ({ key, outcome, reason }) => [key, reason === undefined ? outcome : `${outcome}: ${reason}`],
    ),
  );
const all = (outcome: string) =>
  Object.fromEntries(Object.keys(files).map((name) => [name, outcome]));

const MINUTES_5 = 300_000;

describe('the commands of a folder of documents', () => {
  it(
    'lead from nothing to a verified citation',
    async () => {
      const created = await anneal(
        'etl collection create handbook --embedder hash-384 --acl group:staff --purpose support',
      );
      expect(created).toMatchObject({ code: 0, answer: { name: 'handbook' } });
      const added = await anneal('etl source add folder ./docs --collection handbook');
      expect(added.err).toContain('next: anneal etl source watch handbook');
      expect(added.code).toBe(0);
      const watched = await anneal('etl source watch handbook');
      expect(watched.code).toBe(0);
      expect(outcomesOf(watched.answer)).toEqual(all('new'));
      const found = await anneal(
        'search handbook "how do I rotate a key?" --purpose support --cite',
      );
      expect(found.code).toBe(0);
      const [best] = found.answer.hits as { text: string; citation: { title: string } }[];
      expect(best?.citation.title).toBe('Operations guide');
      expect(best?.text).toContain('To rotate a signing key');
      expect(new Set(found.answer.verdicts as string[])).toEqual(new Set(['VALID']));
    },
    MINUTES_5,
  );

  it(
    'tell what changed, what went and what cannot be read, and why',
    async () => {
      const locked = buildLockedPdf();
      // At one go: the folder is scanned by itself as well, and one scan shall see all three.
      writeFileSync(join(folder, 'docs', 'guide.md'), files['guide.md'].replace('a day', 'a week'));
      writeFileSync(join(folder, 'docs', 'locked.pdf'), locked);
      rmSync(join(folder, 'docs', 'page.html'));
      expect((await anneal('etl source add folder ./docs --collection handbook')).code).toBe(0);
      const watched = await anneal('etl source watch handbook');
      expect(outcomesOf(watched.answer)).toEqual({
        ...all('unchanged'),
        'guide.md': 'changed',
        'page.html': 'deleted',
        'locked.pdf': 'quarantined: encrypted',
      });
      const gone = await anneal('search handbook "thirty days of leave" --purpose support -k 50');
      const titles = (gone.answer.hits as { citation: { title: string } }[]).map(
        ({ citation }) => citation.title,
      );
      expect(titles).not.toContain('Holidays');
    },
    MINUTES_5,
  );

  it(
    'upload the folder where they are told to, and again only what changed',
    async () => {
      const upload = 'etl source add folder ./docs --collection handbook --name sent --upload';
      const first = await anneal(upload);
      expect(first).toMatchObject({ code: 0, answer: { report: { sent: 5, unchanged: 0 } } });
      await writeFile(
        join(folder, 'docs', 'faq.csv'),
        'question,answer\nWhere is it?,In the cellar.\n',
      );
      const second = await anneal(upload);
      expect(second).toMatchObject({ code: 0, answer: { report: { sent: 1, unchanged: 4 } } });
    },
    MINUTES_5,
  );
});
