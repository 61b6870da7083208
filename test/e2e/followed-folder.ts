import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Json, TourClient } from '../../src/main/tour-client.js';
import { eventually } from '../support/eventually.js';

const PURPOSE = 'support';

export type Files = Record<string, string | Buffer>;

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

/** A collection that follows a folder of its own, as a data steward sees it. */
export interface FollowedFolder {
  folder: string;
  collectionId: string;
  sourceId: string;
  write: (files: Files) => Promise<void>;
  /** Every document by its key. */
  documents: () => Promise<Map<string, Json>>;
  document: (key: string) => Promise<Json>;
  /** A scan now; one that runs already will do. */
  scan: () => Promise<void>;
  untilIndexed: (keys: readonly string[]) => Promise<void>;
  search: (text: string, more?: object) => Promise<Hit[]>;
  /** Slices the whole text of the revision at the citation, and lets the platform verify it as well. */
  checkCitation: (hit: Hit) => Promise<void>;
}

async function writeInto(folder: string, files: Files): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
}

async function listDocuments(steward: TourClient, sourceId: string): Promise<Map<string, Json>> {
  const found = new Map<string, Json>();
  let cursor = '';
  do {
    const page = await steward.get(`/v1/documents?sourceId=${sourceId}&limit=200${cursor}`);
    for (const document of page.items as Json[]) found.set(String(document.key), document);
    cursor =
      typeof page.nextCursor === 'string' ? `&cursor=${encodeURIComponent(page.nextCursor)}` : '';
  } while (cursor !== '');
  return found;
}

async function checkCitation(steward: TourClient, { text, citation }: Hit): Promise<void> {
  const { documentId, revision, start, end, textSha256 } = citation;
  const whole = await steward.get(
    `/v1/documents/${documentId}/revisions/${revision}/text?purpose=${PURPOSE}`,
  );
  expect(String(whole.text).slice(start, end)).toBe(text);
  expect(createHash('sha256').update(text, 'utf8').digest('hex')).toBe(textSha256);
  const { verdicts } = (await steward.post('/v1/citations:verify', {
    purpose: PURPOSE,
    citations: [{ documentId, revision, start, end, textSha256 }],
  })) as { verdicts: { verdict: string }[] };
  expect(verdicts.map(({ verdict }) => verdict)).toEqual(['VALID']);
}

/** Writes files into a folder below `parent`, and makes a collection with a source that follows it. */
export async function followFolder(
  steward: TourClient,
  { parent, name, embedder }: { parent: string; name: string; embedder?: string },
  files: Files,
): Promise<FollowedFolder> {
  const folder = join(parent, name);
  await writeInto(folder, files);
  const collection = await steward.post('/v1/collections', {
    name,
    aclDefault: ['group:data-steward'],
    purposes: [PURPOSE],
    ...(embedder === undefined ? {} : { embedder }),
  });
  const collectionId = String(collection.id);
  const source = await steward.post('/v1/sources', {
    collectionId,
    name: 'folder',
    kind: 'folder',
    config: { path: folder, csv: { keyColumn: 'id', titleColumn: 'question' } },
  });
  const sourceId = String(source.id);
  const documents = () => listDocuments(steward, sourceId);
  return {
    folder,
    collectionId,
    sourceId,
    write: (changed) => writeInto(folder, changed),
    documents,
    document: async (key) => {
      const found = (await documents()).get(key);
      if (found === undefined) throw new Error(`no document ${key}`);
      return steward.get(`/v1/documents/${String(found.id)}`);
    },
    scan: async () => {
      await steward
        .post(`/v1/sources/${sourceId}:scan`, {}, { prefer: 'wait=0' })
        .catch((error: unknown) => {
          if (!String(error).includes('SCAN_RUNNING')) throw error;
        });
    },
    untilIndexed: (keys) =>
      eventually(
        async () => {
          const now = await documents();
          const states = Object.fromEntries(keys.map((key) => [key, now.get(key)?.state]));
          expect(states).toEqual(Object.fromEntries(keys.map((key) => [key, 'INDEXED'])));
        },
        { timeoutMs: 120_000 },
      ),
    search: async (text, more = {}) => {
      const asked = { text, purpose: PURPOSE, k: 10, ...more };
      const answer = await steward.post(`/v1/collections/${collectionId}:query`, asked);
      return answer.hits as Hit[];
    },
    checkCitation: (hit) => checkCitation(steward, hit),
  };
}
