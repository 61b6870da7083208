import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** A document as every side is given it, in memory. */
export interface SourceDocument {
  key: string;
  text: string;
  acl: string[];
  /** Stands for mtime and size: another one where the source touched the document. */
  token: string;
}

export type Documents = ReadonlyMap<string, SourceDocument>;

/** What the source and the pipeline are at one moment; the sides are brought to it. */
export interface SourceState {
  documents: Documents;
  chunkChars: number;
  /** Version of the embedder: two of equal cost whose vectors differ. */
  embedder: 'v1' | 'v2';
}

/** One step of a run: the next state, and by what the source says that it changed. */
export interface Phase {
  name: string;
  change: 'documents' | 'chunking' | 'embedder';
  next: (state: SourceState) => SourceState;
}

export const dataFolder = resolve(process.env['APP_TEST_DATA_DIR'] ?? '../shared/data');
const file = join(dataFolder, 'scifact', 'corpus.jsonl');

const staff = ['group:staff'];
const some = ['group:board', 'group:staff'];

/**
 * Title and abstract of SciFact's 5,183 documents, in the order of the file.
 * @throws Error where the data set is not there
 */
export function loadDocuments(limit = Number.POSITIVE_INFINITY): Documents {
  let lines: string[];
  try {
    lines = readFileSync(file, 'utf8').split('\n');
  } catch {
    throw new Error(`There is no ${file}: set APP_TEST_DATA_DIR to the folder of the test data.`);
  }
  const documents = new Map<string, SourceDocument>();
  for (const line of lines) {
    if (line === '' || documents.size >= limit) continue;
    const { _id, title, text } = JSON.parse(line) as { _id: string; title: string; text: string };
    const key = `${_id}.txt`;
    documents.set(key, { key, text: `${title}\n\n${text}`, acl: staff, token: '1' });
  }
  return documents;
}

/** The texts of the queries, for the search figures. */
export function loadQueries(): string[] {
  const lines = readFileSync(join(dataFolder, 'scifact', 'queries.jsonl'), 'utf8').split('\n');
  return lines.flatMap((line) =>
    line === '' ? [] : [(JSON.parse(line) as { text: string }).text],
  );
}

/** The state with every `step`-th document replaced; undefined takes it out. */
function each(
  state: SourceState,
  step: number,
  edit: (document: SourceDocument) => SourceDocument | undefined,
): SourceState {
  const documents = new Map(state.documents);
  let at = 0;
  for (const document of state.documents.values()) {
    if (at++ % step !== 0) continue;
    const next = edit(document);
    if (next === undefined) documents.delete(document.key);
    else documents.set(document.key, next);
  }
  return { ...state, documents };
}

/** A sentence more in the middle of a document. */
export function editedText(text: string, sentence: string): string {
  const half = text.indexOf('. ', Math.floor(text.length / 2));
  const at = half < 0 ? text.length : half + 2;
  return `${text.slice(0, at)}${sentence} ${text.slice(at)}`;
}

/** Every `step`-th document has one sentence more. */
export const edit = (state: SourceState, step: number, sentence: string): SourceState =>
  each(state, step, (document) => ({
    ...document,
    text: editedText(document.text, sentence),
    token: `${document.token}+`,
  }));

/** The steps of a run, in order; each starts from the state that the one before left. */
export const phases: readonly Phase[] = [
  { name: 'cold', change: 'documents', next: (state) => state },
  { name: 'unchanged', change: 'documents', next: (state) => state },
  {
    name: 'touched',
    change: 'documents',
    // Other tokens over equal bytes: each has to be read and hashed.
    next: (state) => each(state, 1, (document) => ({ ...document, token: `${document.token}t` })),
  },
  {
    name: '1 % edited',
    change: 'documents',
    next: (state) => edit(state, 100, 'A later measurement confirmed this finding.'),
  },
  { name: '10 % deleted', change: 'documents', next: (state) => each(state, 10, () => undefined) },
  {
    name: '10 % other access',
    change: 'documents',
    next: (state) =>
      each(state, 10, (document) => ({ ...document, acl: some, token: `${document.token}a` })),
  },
  {
    name: 'chunk size changed',
    change: 'chunking',
    next: (state) => ({ ...state, chunkChars: 600 }),
  },
  { name: 'embedder changed', change: 'embedder', next: (state) => ({ ...state, embedder: 'v2' }) },
];

export const firstState = (documents: Documents): SourceState => ({
  documents,
  chunkChars: 800,
  embedder: 'v1',
});
