import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { projectFolder } from './project-folder.js';
import { RefusedError, type Json } from './tour-client.js';
import type { People } from './tour-people.js';

/** One step of the tour: what to say, and where it can be seen. */
export interface Told {
  what: string;
  workflowId?: string;
}

const QUESTION = 'Which roles of Postgres does Anneal need, and which URL is for migrations?';
const EDITED = 'docs/notes.md';
const PURPOSE = 'support';
/** A first ingestion on two busy cores. */
const PATIENCE_MS = 300_000;
const POLL_MS = 200;

const noteText = (told: string): string => `# Notes of the tour

## Who keeps the keys

Keys of this installation lie in a folder that only its owner may read.

## What changed

${told}
`;

/** Copies `docs/` of this project and the README of every dependency, and adds one page that is going to change. */
async function gatherDocuments(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  const copy = async (from: string, to: string): Promise<void> => {
    await mkdir(dirname(join(folder, to)), { recursive: true });
    await copyFile(from, join(folder, to));
  };
  for (const entry of await readdir(projectFolder('docs'), { withFileTypes: true }))
    if (entry.isFile() && entry.name.endsWith('.md'))
      await copy(projectFolder(`docs/${entry.name}`), `docs/${entry.name}`);
  const manifest = JSON.parse(await readFile(projectFolder('package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(manifest.dependencies)) {
    const from = projectFolder(`node_modules/${name}/README.md`);
    // Some packages come without one.
    await copy(from, `dependencies/${name.replace('/', '-')}.md`).catch(() => undefined);
  }
  await writeFile(join(folder, EDITED), noteText('Nothing has changed so far.'));
}

/** Documents in, a question answered with a citation, an edit, a deletion: through the public API alone. */
export class KnowledgeTour {
  readonly #people: People;
  readonly #folder: string;
  #collectionId = '';
  #sourceId = '';
  #watcher = '';

  constructor(people: People, stateDir: string) {
    this.#people = people;
    this.#folder = join(stateDir, 'tour-knowledge');
  }

  async #until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (performance.now() > deadline) throw new Error(`${what} took more than ${PATIENCE_MS} ms`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** The source once everything that a complete scan found is applied. */
  #settled(): Promise<Json> {
    return this.#until('following the folder', async () => {
      const source = await this.#people.steward.get(`/v1/sources/${this.#sourceId}`);
      if (source.state !== 'ACTIVE')
        throw new Error(`the source is ${String(source.state)}: ${String(source.stateReason)}`);
      const { pending, claimed } = source.backlog as { pending: number; claimed: number };
      const isDone = source.lastCompleteScanAt !== undefined && pending === 0 && claimed === 0;
      return isDone ? source : undefined;
    });
  }

  /** A scan now instead of within a minute; one that runs already will do. */
  async #scan(): Promise<void> {
    try {
      await this.#people.steward.post(
        `/v1/sources/${this.#sourceId}:scan`,
        {},
        { prefer: 'wait=0' },
      );
    } catch (error) {
      if (!(error instanceof RefusedError && error.body.code === 'SCAN_RUNNING')) throw error;
    }
  }

  async #document(key: string): Promise<Json> {
    const { steward } = this.#people;
    const found = await this.#until(`finding ${key}`, async () => {
      let after = '';
      for (;;) {
        const page = await steward.get(
          `/v1/documents?sourceId=${this.#sourceId}&limit=200${after}`,
        );
        const document = (page.items as Json[]).find((each) => each.key === key);
        if (document !== undefined) return document;
        if (typeof page.nextCursor !== 'string') return undefined;
        after = `&cursor=${encodeURIComponent(page.nextCursor)}`;
      }
    });
    return steward.get(`/v1/documents/${String(found.id)}`);
  }

  async ingest(): Promise<Told> {
    const { steward } = this.#people;
    await gatherDocuments(this.#folder);
    const { items } = await steward.get('/v1/collections?limit=200');
    const taken = new Set((items as Json[]).map(({ name }) => name));
    let name = 'handbook';
    for (let n = 2; taken.has(name); n += 1) name = `handbook-${n}`;
    const collection = await steward.post('/v1/collections', {
      name,
      embedder: 'hash-384',
      aclDefault: ['group:staff'],
      purposes: [PURPOSE],
    });
    this.#collectionId = String(collection.id);
    const source = await steward.post('/v1/sources', {
      collectionId: this.#collectionId,
      name: 'folder',
      kind: 'folder',
      config: { path: this.#folder },
    });
    this.#sourceId = String(source.id);
    this.#watcher = String(source.workflowId);
    const since = performance.now();
    const done = await this.#settled();
    const seconds = ((performance.now() - since) / 1000).toFixed(1);
    const { counts } = (await steward.get(`/v1/collections/${this.#collectionId}`)) as {
      counts: Json;
    };
    return {
      what: `collection ${name} follows a folder: ${String(counts.indexed)} of ${String(done.documents)} documents indexed in ${seconds} s, ${String(done.quarantined)} quarantined`,
      workflowId: this.#watcher,
    };
  }

  async ask(): Promise<Told> {
    const { service } = this.#people;
    const answer = await service.post(`/v1/collections/${this.#collectionId}:query`, {
      text: QUESTION,
      purpose: PURPOSE,
      k: 5,
    });
    const [hit] = answer.hits as { citation: Json; score: number }[];
    if (hit === undefined) throw new Error('nothing was found');
    const { citation } = hit;
    const { verdicts } = (await service.post('/v1/citations:verify', {
      purpose: PURPOSE,
      citations: [citation],
    })) as { verdicts: { verdict: string }[] };
    if (verdicts[0]?.verdict !== 'VALID')
      throw new Error(`the citation is ${String(verdicts[0]?.verdict)}`);
    const place = (citation.headingPath as string[]).at(-1) ?? '';
    return {
      what: `asked “${QUESTION}”: ${String(citation.title)}, ${place}, characters ${String(citation.start)}–${String(citation.end)} of revision ${String(citation.revision)}; the citation verifies`,
    };
  }

  async edit(): Promise<Told> {
    const chunkIds = (document: Json) => (document.chunks as { id: string }[]).map(({ id }) => id);
    const before = await this.#document(EDITED);
    const known = new Set(chunkIds(before));
    await writeFile(join(this.#folder, EDITED), noteText('This paragraph, and nothing else.'));
    const since = performance.now();
    await this.#scan();
    const after = await this.#until('indexing the edit', async () => {
      const now = await this.#document(EDITED);
      return now.revision === before.revision ? undefined : now;
    });
    const fresh = chunkIds(after).filter((id) => !known.has(id)).length;
    if (fresh !== 1) throw new Error(`${fresh} chunks are new, one should be`);
    return {
      what: `edited one paragraph: revision ${String(after.revision)}, ${fresh} of ${chunkIds(after).length} chunks embedded, searchable after ${((performance.now() - since) / 1000).toFixed(1)} s`,
      workflowId: this.#watcher,
    };
  }

  async remove(): Promise<Told> {
    const { id } = await this.#document(EDITED);
    await rm(join(this.#folder, EDITED));
    const since = performance.now();
    await this.#scan();
    const { steward, service } = this.#people;
    await this.#until('noticing the deletion', async () => {
      const { state } = await steward.get(`/v1/documents/${String(id)}`);
      return state === 'DELETED' || state === 'HIDDEN' ? state : undefined;
    });
    const { hits } = (await service.post(`/v1/collections/${this.#collectionId}:query`, {
      text: 'What changed: this paragraph, and nothing else',
      purpose: PURPOSE,
      k: 20,
    })) as { hits: { citation: Json }[] };
    if (hits.some(({ citation }) => citation.documentId === id))
      throw new Error('the deleted document is still found');
    return {
      what: `deleted that file: found no more ${((performance.now() - since) / 1000).toFixed(1)} s later`,
      workflowId: this.#watcher,
    };
  }
}
