import { randomUUID } from 'node:crypto';
import { createWorkerActivities } from '../../src/main/worker-activities.js';
import { openParts } from '../../src/main/dependencies.js';
import { decodeLsa } from '../../src/domain/etl/lsa-artifact.js';
import { hash384 } from '../../src/domain/etl/hash-384.js';
import { lsaDims, lsaVector } from '../../src/domain/etl/lsa.js';
import type { RetrievalAnswer } from '../../src/domain/retrieval/contract.js';
import { etlWorkflowId } from '../../src/domain/etl/contract.js';
import { eventually } from '../support/eventually.js';
import { startTestApi, type ApiAnswer, type TestApi } from '../support/api.js';

/** A whole installation in this process: API, workers, Postgres, Temporal, LanceDB. */
export interface Installation {
  api: TestApi;
  stop: () => Promise<void>;
}

export async function startInstallation(
  reach?: Parameters<typeof startTestApi>[0],
): Promise<Installation> {
  const api = await startTestApi(reach);
  const parts = await openParts(api.parts.config, {
    name: 'worker',
    databaseUrl: api.database.urls.worker,
  });
  const { activities, close } = await createWorkerActivities(parts);
  const workers = await api.temporal.startWorkers(activities);
  return {
    api,
    stop: async () => {
      await workers.stop();
      await close();
      await parts.close();
      await api.stop();
    },
  };
}

const words = [
  ...['rotation', 'certificate', 'ledger', 'turbine', 'harbour', 'glacier', 'orchard', 'violin'],
  ...['compiler', 'satellite', 'vaccine', 'archive', 'bridge', 'monsoon', 'pottery', 'reactor'],
  ...['census', 'lantern', 'quarry', 'sextant', 'tariff', 'urchin', 'weaver', 'zeppelin'],
];
const wordOf = (at: number): string => words[at % words.length] ?? '';

/** A document of one chunk about three topics that no other number has in this order. */
export const pageOf = (at: number, edit = 0): string =>
  `The ${wordOf(at)} is described beside the ${wordOf(at * 7 + 3)} and the ${wordOf(at * 5 + 11)}. ` +
  `Whoever keeps a ${wordOf(at)} reads chapter page${at} before edition${edit} is printed.`;

/** What a judged query about a page asks. */
export const questionOf = (at: number): string => `${wordOf(at)} ${wordOf(at * 7 + 3)} page${at}`;

const cosine = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);

/** One collection with one upload source, and what its owner does with it. */
export class LoadedCollection {
  readonly api: TestApi;
  readonly key: string;
  readonly tenant: string;
  collectionId = '';
  sourceId = '';
  /** Document ids by page. */
  readonly documents = new Map<number, string>();
  readonly #embed = new Map<string, (text: string) => Float32Array>();

  constructor(api: TestApi, of: { tenant: string; key: string }) {
    this.api = api;
    this.tenant = of.tenant;
    this.key = of.key;
  }

  async #ask(operation: string, body?: unknown, key = this.key): Promise<ApiAnswer['body']> {
    const answer = await this.api.call(key, operation, body);
    if (answer.status >= 300) throw new Error(`${operation}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async create(): Promise<void> {
    const collection = await this.#ask('POST /v1/collections', {
      ...{ name: `c-${randomUUID().slice(0, 8)}`, purposes: ['support'] },
    });
    this.collectionId = String(collection.id);
    const asked = { collectionId: this.collectionId, name: 'pages', kind: 'upload' };
    const source = await this.#ask('POST /v1/sources', { ...asked, acl: ['group:data-steward'] });
    this.sourceId = String(source.id);
  }

  async put(at: number, edit = 0): Promise<string> {
    const form = new FormData();
    form.append('options', JSON.stringify({ key: `page-${at}.txt` }));
    form.append('file', new Blob([pageOf(at, edit)]), `page-${at}.txt`);
    const response = await fetch(`${this.api.url}/v1/sources/${this.sourceId}/documents`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${this.key}`, 'idempotency-key': randomUUID() },
      body: form,
    });
    const answer = (await response.json()) as { changeToken?: string };
    if (answer.changeToken === undefined) throw new Error(JSON.stringify(answer));
    return answer.changeToken;
  }

  /** Waits until a change is searchable. */
  async applied(after: string): Promise<void> {
    await eventually(
      async () => {
        const { status } = await this.api.call(this.key, this.#query, {
          ...{ text: 'anything', purpose: 'support', after },
        });
        expect(status).toBe(200);
      },
      { timeoutMs: 60_000, everyMs: 100 },
    );
  }

  /** Waits until the run of the source has nothing more to do. */
  async rested(): Promise<void> {
    const run = this.api.temporal.client.workflow.getHandle(
      etlWorkflowId(this.tenant, this.sourceId),
    );
    await eventually(
      async () => {
        const { pendingActivities, pendingWorkflowTask } = (await run.describe()).raw;
        expect([pendingActivities ?? [], pendingWorkflowTask ?? null]).toEqual([[], null]);
      },
      { timeoutMs: 20_000 },
    );
  }

  get #query(): string {
    return `POST /v1/collections/${this.collectionId}:query`;
  }

  async query(text: string, mode = 'dense'): Promise<RetrievalAnswer> {
    const body = { text, k: 10, purpose: 'support', mode };
    return (await this.#ask(this.#query, body)) as unknown as RetrievalAnswer;
  }

  collection = () => this.#ask(`GET /v1/collections/${this.collectionId}`);
  reembed = (body: object) => this.#ask(`POST /v1/collections/${this.collectionId}:reembed`, body);
  rollback = (generationId: string) =>
    this.#ask(`POST /v1/collections/${this.collectionId}:rollback`, {
      ...{ generationId, reason: 'short questions got worse' },
    });
  move = (verb: string, key: string, body: object) =>
    this.api.call(key, `POST /v1/collections/${this.collectionId}:${verb}`, body);

  /** Learns which page is which document. */
  async learn(): Promise<void> {
    const listed = await this.#ask(`GET /v1/documents?sourceId=${this.sourceId}&limit=100`);
    for (const { id, key } of listed.items as { id: string; key: string }[])
      this.documents.set(Number(/\d+/.exec(key)?.[0]), id);
  }

  /** A set that is too small for a verdict, where it has fewer than 50 queries. */
  async createEvalSet(count: number): Promise<string> {
    const queries = Array.from({ length: count }, (_, at) => ({
      ...{ id: `q${at}`, text: questionOf(at % this.documents.size) },
      split: 'report',
      judgements: [{ documentId: this.documents.get(at % this.documents.size), gain: 1 }],
    }));
    const { collectionId } = this;
    const set = await this.#ask('POST /v1/retrieval/eval-sets', {
      ...{ collectionId, name: 'pages', queries },
    });
    return String(set.id);
  }

  /** The embedder of a generation, made from its row by hand. */
  async #embedderOf(generationId: string): Promise<(text: string) => Float32Array> {
    const known = this.#embed.get(generationId);
    if (known !== undefined) return known;
    const [row] = await this.api.database.asSuperuser(
      `select embedder, embed_spec from etl_generation where generation_id = $1`,
      [generationId],
    );
    const { artifactRef, artifactDigest } = row?.embed_spec as Record<string, string>;
    const none = new Float32Array(lsaDims);
    let embed = (text: string): Float32Array => hash384(text) ?? none;
    if (row?.embedder === 'lsa') {
      const chunks: Uint8Array[] = [];
      for await (const chunk of this.api.parts.artifacts.openStream(artifactRef ?? ''))
        chunks.push(chunk);
      const model = decodeLsa(Buffer.concat(chunks), artifactDigest);
      embed = (text) => lsaVector(model, text) ?? none;
    }
    this.#embed.set(generationId, embed);
    return embed;
  }

  /** Hits of a dense answer whose score is not the one of the generation that the answer names. */
  async foreignHits(text: string, answer: RetrievalAnswer): Promise<number> {
    const embed = await this.#embedderOf(answer.generationId);
    const query = embed(text);
    return answer.hits.filter((hit) => {
      const { title } = hit.citation;
      const expected = cosine(query, embed(`${title}\n${hit.text}`));
      return Math.abs(expected - (hit.denseScore ?? NaN)) > 2e-3;
    }).length;
  }
}
