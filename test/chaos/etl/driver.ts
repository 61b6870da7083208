import { randomUUID } from 'node:crypto';
import { fsyncSync, openSync, writeSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRandom, type Random } from '../../../src/domain/evaluation/random.js';
import { docId } from '../../../src/domain/etl/fingerprints.js';
import { signedHeaders } from '../../support/signed-delivery.js';
import { serveCalls } from '../serve-calls.js';
import {
  editDocument,
  moreText,
  newAccess,
  newDocument,
  newParagraph,
  type Held,
} from './make-changes.js';
import { ApiError, callApi, insist, isPassing, type Call } from '../people.js';
import {
  nameOf,
  sameContent,
  sourceNames,
  type Change,
  type Content,
  type LogLine,
  type SourceName,
} from './source-model.js';

// The driver of a run: edits the sources, tells the API, retries like a client, and writes down every try and its end.

/** What the driver is made of; the ids come from whoever has made collection and sources. */
export interface DriverSetup {
  baseUrl: string;
  key: string;
  folder: string;
  logFile: string;
  seed: number;
  sources: Record<'folder' | 'upload' | 'webhook', string>;
  hook: { path: string; secret: string };
  /** Hex; documents of an upload are deleted by their id. */
  idKey: string;
}

/** Edits of a round. */
export interface EditOrder {
  round: string;
  documents: number;
  /** The first so many bring new text, or another access list, in one of these sources; in any where none are named. */
  sure?:
    | { first: number; sources?: readonly SourceName[] | undefined; what?: 'text' | 'access' }
    | undefined;
}

let setup: DriverSetup;
let log: number;
let lines = 0;
const held = new Map<string, Held>();
const earlier = new Map<string, Content[]>();
/** Documents that the last edits touched: what is edited again before a retry. */
let touched: string[] = [];
let lastDelivery: (() => Promise<unknown>) | undefined;

function write(line: Omit<LogLine, 'n'>): void {
  lines += 1;
  writeSync(log, `${JSON.stringify({ n: lines, ...line })}\n`);
  if (line.phase === 'done') fsyncSync(log);
}

const markdown = ({ title, sections }: Content, acl?: string[]): string =>
  [
    '---',
    `title: ${title}`,
    ...(acl === undefined ? [] : [`acl: [${acl.map((name) => JSON.stringify(name)).join(', ')}]`]),
    '---',
    '',
    ...sections.map(({ name, body }) => `## ${name}\n\n${body}\n`),
  ].join('\n');

const api = (call: Call): Promise<unknown> => callApi(setup.baseUrl, setup.key, call);

async function changeFolder({ key, content }: Change): Promise<void> {
  const path = join(setup.folder, key);
  if (content === null) return rm(path, { force: true });
  // Written beside and moved: a scan sees the old file or the new one.
  const beside = `${setup.folder}.${key}.new`;
  await writeFile(beside, markdown(content, content.acl));
  await rename(beside, path);
}

async function changeUpload({ key, content }: Change): Promise<void> {
  const idempotencyKey = randomUUID();
  const id = docId(Buffer.from(setup.idKey, 'hex'), setup.sources.upload, key);
  if (content === null) {
    await insist(() => api({ method: 'DELETE', path: `/v1/documents/${id}`, idempotencyKey }));
    return;
  }
  await insist(() => {
    const form = new FormData();
    form.append('options', JSON.stringify({ key, acl: content.acl }));
    form.append('file', new Blob([markdown(content)]), key);
    const path = `/v1/sources/${setup.sources.upload}/documents`;
    return api({ method: 'PUT', path, body: form, idempotencyKey });
  });
}

async function deliver(id: string, message: object): Promise<unknown> {
  const body = JSON.stringify(message);
  return callApi(setup.baseUrl, undefined, {
    method: 'POST',
    path: setup.hook.path,
    body,
    headers: signedHeaders(setup.hook.secret, { id, body }),
  });
}

let seq = 0;

async function changeWebhook(random: Random, change: Change, before: Content | undefined) {
  const { key, content } = change;
  const id = `msg-${randomUUID()}`;
  seq += 1;
  const onlyAccess =
    content !== null &&
    before !== undefined &&
    sameContent({ ...before, acl: [] }, { ...content, acl: [] }) &&
    !sameContent(before, content);
  const message =
    content === null
      ? { key, deleted: true, seq }
      : onlyAccess
        ? { key, acl: content.acl, seq }
        : { key, content: markdown(content), mediaType: 'text/markdown', acl: content.acl, seq };
  await insist(() => deliver(id, message));
  // Senders repeat themselves, at once or late.
  if (random.below(3) === 0) await insist(() => deliver(id, message));
  if (random.below(4) === 0 && lastDelivery !== undefined) await insist(lastDelivery);
  lastDelivery = () => deliver(id, message);
}

async function apply(random: Random, change: Change): Promise<void> {
  const { source, content } = change;
  const name = nameOf(change);
  const before = held.get(name);
  if (content === null && before === undefined) return;
  write({ phase: 'try', ...change });
  if (source === 'folder') await changeFolder(change);
  else if (source === 'upload') await changeUpload(change);
  else await changeWebhook(random, change, before?.content);
  write({ phase: 'done', ...change });
  touched.push(name);
  if (before !== undefined)
    earlier.set(name, [...(earlier.get(name) ?? []), before.content].slice(-3));
  if (content === null) held.delete(name);
  else held.set(name, { ...change, content });
}

const pickName = (random: Random, of: readonly string[]): Held | undefined =>
  held.get(of[random.below(Math.max(1, of.length))] ?? '');

/** One edit as people make them; some change nothing. */
function anyChanges(random: Random): Change[] {
  const of = pickName(random, [...held.keys()].sort());
  if (of === undefined || random.below(12) === 0) return [newDocument(random)];
  return editDocument(random, of, earlier.get(nameOf(of)) ?? []);
}

/** An edit that brings a text that nobody has embedded yet, or another access list. */
function sureChanges(
  random: Random,
  { sources = sourceNames, what = 'text' }: NonNullable<EditOrder['sure']>,
): Change[] {
  const names = [...held].filter(([, { source }]) => sources.includes(source));
  const of = pickName(random, names.map(([name]) => name).sort());
  if (of === undefined) return [newDocument(random, sources)];
  return [what === 'text' ? newParagraph(random, of) : newAccess(random, of)];
}

/** Starts a scan of the folder, now or after the one that runs. */
async function scan(): Promise<void> {
  const path = `/v1/sources/${setup.sources.folder}:scan`;
  const idempotencyKey = randomUUID();
  const isBusy = (error: unknown) =>
    isPassing(error) || (error instanceof ApiError && error.status === 409);
  let key = idempotencyKey;
  await insist(
    () => api({ method: 'POST', path, idempotencyKey: key }),
    (error) => {
      // A refusal is no effect: the next try is another request.
      if (error instanceof ApiError && error.status === 409) key = randomUUID();
      return isBusy(error);
    },
  );
}

serveCalls({
  setup: async (given: DriverSetup) => {
    setup = given;
    log = openSync(given.logFile, 'a', 0o600);
    await mkdir(given.folder, { recursive: true });
  },
  /** Adds documents, then has the folder scanned. */
  seed: async ({ documents }: { documents: number }) => {
    const random = createRandom(setup.seed, 'seed');
    touched = [];
    for (let at = 0; at < documents; at++) await apply(random, newDocument(random));
    await scan();
  },
  /** Edits some documents and adds one now and then. Answers how many were touched. */
  edit: async ({ round, documents, sure }: EditOrder) => {
    const random = createRandom(setup.seed, `edit ${round}`);
    touched = [];
    for (let at = 0; at < documents; at++) {
      const changes =
        sure !== undefined && at < sure.first ? sureChanges(random, sure) : anyChanges(random);
      for (const change of changes) await apply(random, change);
    }
    return touched.length;
  },
  /** Edits what the last edits touched: the source has moved on when the retry looks. The scan waits for a worker. */
  editAgain: async ({ round, documents, sure }: EditOrder) => {
    const random = createRandom(setup.seed, `again ${round}`);
    const names = [...new Set(touched)].filter((name) => held.has(name)).sort();
    let edited = 0;
    for (const name of names.slice(0, documents)) {
      const of = held.get(name);
      if (of === undefined) continue;
      const changes =
        sure !== undefined && edited < sure.first
          ? [moreText(random, of)]
          : editDocument(random, of, earlier.get(name) ?? []);
      for (const change of changes) await apply(random, change);
      edited += 1;
    }
    return edited;
  },
  scan,
});
