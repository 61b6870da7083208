import { execFileSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { readLocalKeys } from '../../src/main/bootstrap-installation.js';
import type { Json } from '../../src/main/tour-client.js';
import { gatherPeople, type People } from '../../src/main/tour-people.js';
import { startInstallation, type Installation } from './installation.js';

// `npm run bench:freshness`: how long a change takes to be in effect, end to end over HTTP, on what `npm start` runs: one
// worker, hash-384, LanceDB, documents of 10 KB, one after the other (etl.md §13). Polls every 10 ms; what a poll takes
// is in the figures.

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '30' },
    backlog: { type: 'string', default: '0' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const runs = Number(options.runs);
const backlog = Number(options.backlog);

const help = `npm run bench:freshness -- [options]

  --runs <n>     how often each change is made; default 30
  --backlog <n>  so many small files wait to be taken in meanwhile, in a folder of their own; default 0
  --write        also writes bench/results/freshness.json (with a backlog: freshness-backlog.json)
`;

const PURPOSE = 'support';
const POLL_MS = 10;
const PATIENCE_MS = 60_000;
const START_MS = 300_000;
const DOCUMENT_BYTES = 10_000;
const BACKLOG_PATIENCE_MS = 15 * 60_000;

interface Row {
  case: string;
  targetMs: number;
  times: number[];
}

const word = (): string => `w${randomBytes(6).toString('hex')}`;

/** Markdown of 10 KB that names `about` in its first paragraph. */
function documentOf(about: string): string {
  const head = `# About ${about}\n\nThis document is about ${about} and nothing else.\n\n`;
  const paragraph = `Sentence ${word()} stands here to make the document as long as a page.\n\n`;
  return head + paragraph.repeat(Math.ceil((DOCUMENT_BYTES - head.length) / paragraph.length));
}

async function until(
  what: string,
  holds: () => Promise<boolean>,
  patienceMs = PATIENCE_MS,
): Promise<number> {
  const since = performance.now();
  for (;;) {
    if (await holds()) return performance.now() - since;
    if (performance.now() - since > patienceMs) throw new Error(`${what} took too long`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Puts so many small files into a folder of their own; from when all are listed, says how many wait. */
async function fillBacklog(
  at: {
    steward: People['steward'];
    sourceOf: (name: string, kind: string, config: object) => Promise<string>;
    documents: string;
  },
  files: number,
): Promise<(when: string) => Promise<void>> {
  if (files === 0) return () => Promise.resolve();
  const path = join(at.documents, 'backlog');
  await mkdir(path);
  const write = (file: number): Promise<void> =>
    writeFile(join(path, `${file}.md`), `# File ${file}\n\n${word()}\n`);
  for (let file = 0; file < files; file += 500)
    await Promise.all(
      Array.from({ length: Math.min(500, files - file) }, (_, index) => write(file + index)),
    );
  const source = `/v1/sources/${await at.sourceOf('backlog', 'folder', { path })}`;
  const isListed = async () => (await at.steward.get(source)).lastCompleteScanAt !== undefined;
  await until('listing the backlog', isListed, BACKLOG_PATIENCE_MS);
  return async (when) => {
    const { backlog: left } = await at.steward.get(source);
    const { pending, claimed } = left as Record<'pending' | 'claimed', number>;
    process.stdout.write(`${when}: ${(pending + claimed).toLocaleString('en-US')} changes wait\n`);
  };
}

/** A collection with an upload source and a folder source, and questions to it. */
async function openCollection(people: People, { url, stateDir, documents }: Installation) {
  const { steward, service } = people;
  const { steward: key = '' } = await readLocalKeys(stateDir);
  const collection = await steward.post('/v1/collections', {
    name: 'freshness',
    embedder: 'hash-384',
    aclDefault: ['group:data-steward', 'group:service'],
    purposes: [PURPOSE],
  });
  const sourceOf = async (name: string, kind: string, config: object): Promise<string> => {
    const body = { collectionId: collection.id, name, kind, config };
    return String((await steward.post('/v1/sources', body)).id);
  };
  const uploads = await sourceOf('uploads', 'upload', {});
  const watched = join(documents, 'watched');
  await mkdir(watched);
  await sourceOf('folder', 'folder', { path: watched });
  const send = async (method: string, path: string, body?: FormData): Promise<void> => {
    const answer = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'idempotency-key': randomUUID() },
      ...(body === undefined ? {} : { body }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`);
  };
  return {
    watched,
    fillBacklog: (files: number) => fillBacklog({ steward, sourceOf, documents }, files),
    found: async (about: string): Promise<boolean> => {
      const body = { text: about, purpose: PURPOSE, k: 5, mode: 'lexical' };
      const path = `/v1/collections/${String(collection.id)}:query`;
      const { hits } = await service.post(path, body);
      return (hits as Json[]).length > 0;
    },
    put: (name: string, about: string, acl?: string[]): Promise<void> => {
      const form = new FormData();
      form.append('options', JSON.stringify({ key: name, ...(acl === undefined ? {} : { acl }) }));
      form.append('file', new Blob([documentOf(about)]), name);
      return send('PUT', `/v1/sources/${uploads}/documents`, form);
    },
    idOf: async (name: string): Promise<string> => {
      const { items } = await steward.get(`/v1/documents?sourceId=${uploads}&limit=200`);
      return String((items as Json[]).find((each) => each.key === name)?.id);
    },
    remove: (id: string): Promise<void> => send('DELETE', `/v1/documents/${id}`),
    /** The ledger forgets a document's rows after its store has. */
    hasRows: async (id: string): Promise<boolean> => {
      const { generations } = await steward.get(`/v1/documents/${id}`);
      return (generations as Json[]).length > 0;
    },
  };
}

/** One document through its life: written, narrowed, another one deleted; and a file in a folder. */
async function measure(people: People, installation: Installation): Promise<Row[]> {
  const rows: Row[] = [
    { case: 'upload sent → found', targetMs: 3_000, times: [] },
    { case: 'file written → found', targetMs: 3_000, times: [] },
    { case: 'access narrowed → hidden', targetMs: 1_000, times: [] },
    { case: 'delete sent → hidden', targetMs: 1_000, times: [] },
    { case: 'delete sent → rows gone', targetMs: 3_000, times: [] },
    { case: 'file deleted → hidden', targetMs: 3_000, times: [] },
  ];
  const note = (at: number, ms: number): void => void rows[at]?.times.push(ms);
  const knowledge = await openCollection(people, installation);
  const { found, put } = knowledge;
  // The first document makes the store; until then there is nothing to ask.
  await put('first.md', 'first');
  await until('the first document', () => found('first').catch(() => false));
  const say = await knowledge.fillBacklog(backlog);
  await say('before');
  for (let run = 0; run < runs; run += 1) {
    const [narrowed, deleted, written] = [word(), word(), word()];
    const file = join(knowledge.watched, `${written}.md`);
    note(
      0,
      await timed(
        () => put(`${narrowed}.md`, narrowed),
        () => found(narrowed),
      ),
    );
    await timed(
      () => put(`${deleted}.md`, deleted),
      () => found(deleted),
    );
    note(
      1,
      await timed(
        () => writeFile(file, documentOf(written)),
        () => found(written),
      ),
    );
    const nobody = ['user:nobody'];
    note(
      2,
      await timed(
        () => put(`${narrowed}.md`, narrowed, nobody),
        async () => !(await found(narrowed)),
      ),
    );
    const id = await knowledge.idOf(`${deleted}.md`);
    const since = performance.now();
    note(
      3,
      await timed(
        () => knowledge.remove(id),
        async () => !(await found(deleted)),
      ),
    );
    await until('the rows of a deleted document', async () => !(await knowledge.hasRows(id)));
    note(4, performance.now() - since);
    note(
      5,
      await timed(
        () => rm(file),
        async () => !(await found(written)),
      ),
    );
  }
  await say('after');
  return rows;
}

/** Milliseconds from before `act` until `holds`. */
async function timed(act: () => Promise<void>, holds: () => Promise<boolean>): Promise<number> {
  const since = performance.now();
  await act();
  await until('a change', holds);
  return performance.now() - since;
}

/** Nearest rank. */
const quantile = (times: readonly number[], share: number): number =>
  times.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(share * times.length) - 1)] ?? NaN;

const [cpu] = cpus();
const load = (): string => (loadavg()[0] ?? 0).toFixed(1);
const before = load();

async function report(rows: readonly Row[]): Promise<void> {
  const machine =
    `${cpus().length} × ${cpu?.model.trim() ?? 'CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ` +
    `Node ${process.versions.node}, load average ${before} before and ${load()} after`;
  const head = ['case', 'target p95', 'p50', 'p95', 'max', ''];
  const table = new Table({ head, style: { head: [], border: [] } });
  const ms = (value: number): string => `${(value / 1_000).toFixed(2)} s`;
  for (const { case: name, targetMs, times } of rows) {
    const p95 = quantile(times, 0.95);
    const verdict = p95 <= targetMs ? 'met' : 'MISSED';
    table.push([
      name,
      ms(targetMs),
      ms(quantile(times, 0.5)),
      ms(p95),
      ms(Math.max(...times)),
      verdict,
    ]);
  }
  process.stdout.write(`${table.toString()}\n${runs} runs; ${machine}\n`);
  if (!options.write) return;
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const figures = rows.flatMap(({ case: change, targetMs, times }) =>
    (['p50', 'p95'] as const).map((metric) => {
      const ours = quantile(times, metric === 'p50' ? 0.5 : 0.95);
      return { case: change, metric, ours, baseline: targetMs, ratio: ours / targetMs };
    }),
  );
  const name = backlog > 0 ? 'freshness-backlog' : 'freshness';
  const result = { name, commit, machine, ...(backlog > 0 && { backlog }), rows: figures };
  const path = new URL(`../results/${name}.json`, import.meta.url);
  await writeFile(path, `${JSON.stringify(result, null, 2)}\n`);
}

async function main(): Promise<void> {
  const installation = await startInstallation(START_MS);
  try {
    const people = await gatherPeople(installation.url, installation.stateDir);
    await report(await measure(people, installation));
  } finally {
    await installation.stop();
  }
}

if (options.help) process.stdout.write(help);
else await main();
