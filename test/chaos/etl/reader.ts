import { docId } from '../../../src/domain/etl/fingerprints.js';
import type { SinkRow } from '../../../src/domain/etl/vector-sink.js';
import { createLanceStore } from '../../../src/adapters/lancedb/create-lance-store.js';
import { askSql } from '../ask-sql.js';
import { ApiError, callApi, insist } from '../people.js';
import { textDigest, type Shown, type SourceName } from './source-model.js';

/** Where the checker looks; all of it from outside the product's processes. */
export interface ReaderSetup {
  baseUrl: string;
  /** Of someone who may read everything. */
  key: string;
  /** Of a service that may ask for others. */
  delegateKey: string;
  adminUrl: string;
  vectorsFolder: string;
  tenant: string;
  collectionId: string;
  purpose: string;
  sources: Record<SourceName, string>;
  idKey: string;
}

/** A document by its id, and at which revision. */
export type ById = (Shown & { revision: number; acl: string[] }) | { absent: string };

export interface FoundHit {
  documentId: string;
  revision: number;
  text: string;
  citation: {
    documentId: string;
    revision: number;
    start: number;
    end: number;
    textSha256: string;
  };
}

interface QueryOf {
  text: string;
  mode: 'lexical' | 'dense' | 'hybrid';
  k: number;
  filter?: Record<string, number> | undefined;
  onBehalfOf?: { subject: string; groups: string[] } | undefined;
}

type StoredRow = Pick<SinkRow, 'rowId' | 'docId' | 'text' | 'accessHash'>;

const STAND_STILL_MS = 20_000;

/** The store's files and the ledger's tables, past the product. */
function createStoreReader(setup: ReaderSetup) {
  const { tenant, collectionId } = setup;
  const store = createLanceStore({ folder: setup.vectorsFolder });

  const sql = (text: string, values: unknown[] = []) => askSql(setup.adminUrl, text, values);

  const liveGeneration = async () => {
    const [row] = await sql(
      `select g.generation_id, g.embed_fp, g.dims from etl_generation g join etl_collection c
         on c.tenant_id = g.tenant_id and c.live_generation_id = g.generation_id
       where c.tenant_id = $1 and c.collection_id = $2`,
      [tenant, collectionId],
    );
    const generationId = String(row?.generation_id);
    return { tenant, generationId, embedFp: String(row?.embed_fp), dims: Number(row?.dims) };
  };

  /** Every row of the store itself, as of one moment. @throws where no moment could be seen within 20 s */
  const stored = async (): Promise<StoredRow[]> => {
    const sink = store.sink(await liveGeneration());
    const deadline = performance.now() + STAND_STILL_MS;
    while (performance.now() < deadline) {
      const ids: string[] = [];
      for await (const { rowId } of sink.scanIds({ index: 0, of: 1 })) ids.push(rowId);
      const rows = await sink.fetch([...new Set(ids)]);
      const byRow = new Map(rows.map((row) => [row.rowId, row]));
      const found = ids.map((id) => byRow.get(id)).filter((row) => row !== undefined);
      // One that is gone was replaced between the two reads: what replaced it is not in the first.
      if (found.length === ids.length) return found;
    }
    throw new Error(`the store did not stand still for ${STAND_STILL_MS} ms`);
  };

  /** Row ids that the ledger has committed, by document. */
  const manifests = async (): Promise<{ docId: string; rowIds: string[]; aclHash: string }[]> => {
    const { generationId } = await liveGeneration();
    const rows = await sql(
      `select m.doc_id, m.row_ids, d.acl_hash from etl_manifest m join etl_document d using (tenant_id, doc_id)
       where m.tenant_id = $1 and m.generation_id = $2`,
      [tenant, generationId],
    );
    return rows.map((row) => ({
      docId: String(row.doc_id),
      rowIds: row.row_ids as string[],
      aclHash: String(row.acl_hash),
    }));
  };

  return { stored, manifests };
}

/** Verdicts of citations, a hundred a call. */
async function verifyCitations(
  { baseUrl, key, purpose }: ReaderSetup,
  citations: FoundHit['citation'][],
): Promise<string[]> {
  const verdicts: string[] = [];
  for (let at = 0; at < citations.length; at += 100) {
    const body = { purpose, citations: citations.slice(at, at + 100) };
    const call = { method: 'POST', path: '/v1/citations:verify', body };
    const answer = (await insist(() => callApi(baseUrl, key, call))) as {
      verdicts: { verdict: string }[];
    };
    verdicts.push(...answer.verdicts.map(({ verdict }) => verdict));
  }
  return verdicts;
}

/** Every way of reading there is. */
export function createReader(setup: ReaderSetup) {
  const { baseUrl, key, collectionId, purpose } = setup;
  const asked = new Set<string>();
  let reads = 0;
  const idKey = Buffer.from(setup.idKey, 'hex');
  const get = (path: string) => {
    reads += 1;
    return insist(() => callApi(baseUrl, key, { method: 'GET', path }));
  };

  const idOf = (name: string): string => {
    const [source = '', naturalKey = ''] = name.split('/');
    return docId(idKey, setup.sources[source as SourceName], naturalKey);
  };

  const textOf = async (id: string, revision: number): Promise<string> => {
    const path = `/v1/documents/${id}/revisions/${revision}/text?purpose=${purpose}`;
    return ((await get(path)) as { text: string }).text;
  };

  const byId = async (name: string): Promise<ById> => {
    const id = idOf(name);
    try {
      const view = (await get(`/v1/documents/${id}`)) as {
        state: string;
        revision?: number;
        acl: string[];
        chunks: { start: number; end: number }[];
        whyNotIndexed?: { reason: string };
      };
      const { state, revision } = view;
      if (view.whyNotIndexed !== undefined || state === 'HIDDEN' || state === 'STALE')
        return { absent: `${state} ${view.whyNotIndexed?.reason ?? ''}` };
      if (state === 'DELETED' || revision === undefined) return { absent: state };
      const text = await textOf(id, revision);
      const spans = view.chunks.map(({ start, end }) => text.slice(start, end));
      return { spans, acl: view.acl, revision };
    } catch (error) {
      // Hidden or superseded between the two reads, or never recorded.
      if (error instanceof ApiError && [404, 410].includes(error.status)) return { absent: 'NONE' };
      throw error;
    }
  };

  const search = async ({ onBehalfOf, ...query }: QueryOf): Promise<FoundHit[]> => {
    reads += 1;
    if (query.mode !== 'lexical') asked.add(textDigest(query.text));
    const path = `/v1/collections/${collectionId}:query`;
    const body = { ...query, purpose, ...(onBehalfOf === undefined ? {} : { onBehalfOf }) };
    const as = onBehalfOf === undefined ? key : setup.delegateKey;
    const answer = (await insist(() => callApi(baseUrl, as, { method: 'POST', path, body }))) as {
      hits: { text: string; citation: FoundHit['citation'] }[];
    };
    return answer.hits.map(({ text, citation }) => ({
      documentId: citation.documentId,
      revision: citation.revision,
      text,
      citation,
    }));
  };

  return {
    idOf,
    byId,
    search,
    verify: (citations: FoundHit['citation'][]): Promise<string[]> => {
      reads += Math.ceil(citations.length / 100);
      return verifyCitations(setup, citations);
    },
    ...createStoreReader(setup),
    /** Whether this text was a question of ours. */
    isQuestion: (digest: string): boolean => asked.has(digest),
    reads: (): number => reads,
  };
}
export type Reader = ReturnType<typeof createReader>;
