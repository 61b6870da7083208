import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolderStore } from '../../src/adapters/artifacts/folder-store.js';
import { mergeRuns } from '../../src/adapters/tabular/merge-runs.js';
import { stageRows } from '../../src/adapters/tabular/stage-rows.js';
import type { ArtifactStore } from '../../src/domain/artifacts.js';
import type { DatasetContract } from '../../src/domain/datasets/dataset-contract.js';
import { parseDatasetContract } from '../../src/domain/datasets/dataset-contract.js';
import type { MergeResult, StageInput, StageResult } from '../../src/domain/datasets/staging.js';
import { tableFormatSchema } from '../../src/domain/datasets/table-format.js';
import type { TableFormat } from '../../src/domain/datasets/table-format.js';

export const tenantId = 'default';

/** A store in a folder of its own, and how to remove it. */
export async function openTestStore() {
  const root = await mkdtemp(join(tmpdir(), 'anneal-artifacts-'));
  const store = await openFolderStore({ root, nowMs: Date.now() });
  return { store, root, close: () => rm(root, { recursive: true, force: true }) };
}

/** Runs with a store that goes away afterwards. */
export async function withStore<T>(run: (store: ArtifactStore, root: string) => Promise<T>) {
  const { store, root, close } = await openTestStore();
  try {
    return await run(store, root);
  } finally {
    await close();
  }
}

/** Bytes as a body, in chunks of an odd size so that cells and characters are cut. */
export async function* chunked(bytes: Uint8Array | string, size = 997): AsyncGenerator<Uint8Array> {
  const all = Buffer.from(bytes);
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size);
}

/** A contract that must be valid. */
export function contractOf(body: unknown): DatasetContract {
  const parsed = parseDatasetContract(body);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return parsed.contract;
}

export const formatOf = (format: unknown): TableFormat => tableFormatSchema.parse(format);

export const tokenise = (value: string): string =>
  `p1_${createHash('sha256').update(value).digest('hex').slice(0, 12)}`;

let scopes = 0;

/** A first stage of some bytes in a staging area of its own. */
export async function stageOf(
  store: ArtifactStore,
  bytes: Uint8Array | string,
  input: Pick<StageInput, 'contract' | 'format'> & Partial<StageInput>,
): Promise<StageResult & { scope: string }> {
  const { ref } = await store.put({ tenantId, body: chunked(bytes, 65_536) });
  const scope = input.scope ?? `pub_${++scopes}`;
  const staged = await stageRows(
    store,
    { tenantId, scope, source: { ref }, ...input },
    { tokenise },
  );
  return { ...staged, scope };
}

/** Both stages of some bytes. */
export async function publishOf(
  store: ArtifactStore,
  bytes: Uint8Array | string,
  input: Pick<StageInput, 'contract' | 'format'> & Partial<StageInput> & { partRows?: number },
): Promise<StageResult & MergeResult> {
  const { partRows, ...stage } = input;
  const staged = await stageOf(store, bytes, stage);
  const merged = await mergeRuns(
    store,
    {
      tenantId,
      scope: staged.scope,
      contract: input.contract,
      purposes: ['credit'],
      legalBasis: 'contract',
      pii: input.pii,
      runs: staged.runs,
      partRows,
    },
    {},
  );
  return { ...staged, ...merged };
}

const categories = (name: string) => ({ name, type: 'categorical' });
const integers = (name: string) => ({ name, type: 'integer' });

/** Contract of the Adult census files; `map` rewrites the label of the test file, which ends in a dot. */
export const adultContract = (map?: Record<string, string>): DatasetContract =>
  contractOf({
    fields: [
      integers('age'),
      categories('workclass'),
      integers('fnlwgt'),
      categories('education'),
      integers('education-num'),
      categories('marital-status'),
      categories('occupation'),
      categories('relationship'),
      { ...categories('race'), personal: 'protected' },
      { ...categories('sex'), personal: 'protected' },
      integers('capital-gain'),
      integers('capital-loss'),
      integers('hours-per-week'),
      categories('native-country'),
      { ...categories('income'), enum: ['<=50K', '>50K'] },
    ],
    label: { field: 'income', positive: '>50K', ...(map ? { map } : {}) },
  });
