import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mergeRuns } from '../../src/adapters/tabular/merge-runs.js';
import { readParts, readQuarantine } from '../../src/adapters/tabular/read-part.js';
import { stageRows } from '../../src/adapters/tabular/stage-rows.js';
import { readJsonArtifact } from '../../src/adapters/tabular/staged-state.js';
import type { ArtifactStore } from '../../src/domain/artifacts.js';
import { countInBins } from '../../src/domain/datasets/bins.js';
import type { FieldBins } from '../../src/domain/datasets/bins.js';
import { deriveModelContract } from '../../src/domain/datasets/derive-model-contract.js';
import type { SnapshotProfile } from '../../src/domain/datasets/profile.js';
import { psi } from '../../src/domain/datasets/psi.js';
import { exceedsRejectShare } from '../../src/domain/datasets/reject-share.js';
import type { RejectedRow, StoredRow } from '../../src/domain/datasets/staging.js';
import { describeWithData, testDataDir } from '../support/test-data.js';
import {
  adultContract,
  chunked,
  formatOf,
  openTestStore,
  publishOf,
  stageOf,
  tenantId,
  tokenise,
} from './stage-table.js';

const format = formatOf({ format: 'csv', header: false, nullTokens: ['?'] });
const dotted = { '<=50K.': '<=50K', '>50K.': '>50K' };
const contract = adultContract(dotted);
const input = { contract, format };
const readAdult = (name: string) => readFileSync(join(testDataDir, 'adult', name), 'utf8');

async function all<T>(batches: AsyncIterable<T[]>): Promise<T[]> {
  const rows: T[] = [];
  for await (const batch of batches) rows.push(...batch);
  return rows;
}

/** The lines of a text in another order, equal in every run. */
function shuffled(text: string): string {
  const lines = text.split('\n').filter((line) => line !== '');
  let state = 7;
  for (let i = lines.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const j = state % (i + 1);
    [lines[i], lines[j]] = [lines[j] ?? '', lines[i] ?? ''];
  }
  return `${lines.join('\n')}\n`;
}

const terms = { contract, purposes: ['credit'], legalBasis: 'contract' };

describeWithData('adult', 'E1: the Adult files become snapshots', () => {
  let files: Awaited<ReturnType<typeof openTestStore>>;
  let store: ArtifactStore;
  let train: Awaited<ReturnType<typeof publishOf>>;
  let test: Awaited<ReturnType<typeof publishOf>>;
  beforeAll(async () => {
    files = await openTestStore();
    store = files.store;
    train = await publishOf(store, readAdult('adult-train.csv'), input);
    test = await publishOf(store, readAdult('adult-test.csv'), input);
  }, 60_000);
  afterAll(() => files.close());

  it('rejects exactly the 2,399 training rows with a missing value and names row and rule', async () => {
    expect(train).toMatchObject({ total: 32_561, rejected: 2_399, valid: 30_162, rows: 30_162 });
    const share = { rejected: train.rejected, total: train.total };
    expect(exceedsRejectShare({ ...share, maxRejectShareBp: 200 })).toBe(true);
    expect(exceedsRejectShare({ ...share, maxRejectShareBp: 1000 })).toBe(false);
    const [part] = train.quarantine;
    const rejected: RejectedRow[] = await all(readQuarantine(store, part?.ref ?? ''));
    expect(rejected).toHaveLength(2_399);
    expect(rejected[0]).toMatchObject({
      row: 15,
      violations: [{ field: 'native-country', rule: 'missing' }],
      cells: { age: '40', 'native-country': '?' },
    });
    expect(train.rules.map(({ field, rule }) => [field, rule])).toEqual([
      ['native-country', 'missing'],
      ['occupation', 'missing'],
      ['workclass', 'missing'],
    ]);
  });

  it('keeps 15,060 of 16,281 test rows with the label map, and none without it', async () => {
    expect(test).toMatchObject({ total: 16_281, rejected: 1_221, valid: 15_060 });
    const unmapped = { contract: adultContract(), format };
    const plain = await stageOf(store, readAdult('adult-test.csv'), unmapped);
    const labels = plain.rules.find(({ field }) => field === 'income');
    expect(labels).toEqual({ field: 'income', rule: 'enum', severity: 'reject', count: 16_281 });
    expect(plain).toMatchObject({ rejected: 16_281, valid: 0 });
  }, 60_000);

  it('gives one snapshot id, and one row order, whatever the order, run size and part size', async () => {
    const mixedText = shuffled(readAdult('adult-train.csv'));
    const { ref } = await store.put({ tenantId, body: chunked(mixedText, 65_536) });
    const limits = { maxRows: 1_000, maxChars: 1e9 };
    const stage = { tenantId, scope: 'pub_mixed', source: { ref }, ...input };
    const mixed = await stageRows(store, stage, { tokenise, limits });
    expect([train.runs.length, mixed.runs.length]).toEqual([1, 31]);
    expect(mixed.sourceDigest).not.toBe(train.sourceDigest);
    const merge = { tenantId, scope: 'pub_mixed', runs: mixed.runs, ...terms };
    const merged = await mergeRuns(store, merge, {});
    expect(merged.snapshotId).toBe(train.snapshotId);
    expect(merged.parts).toEqual(train.parts);
    const small = await mergeRuns(store, { ...merge, partRows: 7_001 }, {});
    expect([merged.parts.length, small.parts.length]).toEqual([1, 5]);
    expect(small.snapshotId).toBe(train.snapshotId);
    expect([small.profileRef, small.binsRef]).toEqual([train.profileRef, train.binsRef]);
    const rows: StoredRow[] = await all(readParts(store, train.parts));
    expect(await all(readParts(store, small.parts))).toEqual(rows);
    expect(rows).toHaveLength(30_162);
  }, 60_000);

  it('repeats at most the part it was killed in, and gives the same manifest', async () => {
    const merge = { tenantId, scope: 'pub_killed', runs: train.runs, ...terms, partRows: 5_000 };
    const killed = new AbortController();
    const heartbeat = ({ parts }: { parts: number }) => void (parts >= 3 && killed.abort());
    const broken = mergeRuns(store, merge, { signal: killed.signal, heartbeat });
    await expect(broken).rejects.toThrow(/abort/i);
    let puts = 0;
    const put: ArtifactStore['put'] = (body) => {
      puts++;
      return store.put(body);
    };
    const resumed = await mergeRuns({ ...store, put }, merge, {});
    const profileAndBins = 2;
    expect(puts).toBe(7 - 3 + profileAndBins);
    const undisturbed = await mergeRuns(store, { ...merge, scope: 'pub_undisturbed' }, {});
    expect(resumed).toEqual(undisturbed);
  }, 60_000);

  it('finds a finished first stage and does not repeat it', async () => {
    const { ref } = await store.put({
      tenantId,
      body: chunked(readAdult('adult-test.csv'), 65_536),
    });
    const stage = { tenantId, scope: 'pub_twice', source: { ref }, ...input };
    const first = await stageRows(store, stage, { tokenise });
    const openStream: ArtifactStore['openStream'] = (asked, how) => {
      if (asked === ref) throw new Error('the source was read again');
      return store.openStream(asked, how);
    };
    expect(await stageRows({ ...store, openStream }, stage, { tokenise })).toEqual(first);
    const other = { ...stage, contract: adultContract() };
    await expect(stageRows({ ...store, openStream }, other, { tokenise })).rejects.toThrow('again');
  }, 60_000);

  it('measures drift of age as published: 5.78 for the young, 0.0011 for the whole test file', async () => {
    const bins = await readJsonArtifact<FieldBins[]>(store, train.binsRef);
    expect(bins).toHaveLength(15);
    const age = bins.find(({ field }) => field === 'age');
    if (!age) throw new Error('no bins of age');
    const ages = (await all(readParts(store, test.parts))).map(({ values }) => Number(values[0]));
    const young = ages.filter((value) => value < 30);
    expect(young).toHaveLength(4_261);
    expect(Math.abs(psi(age.counts, countInBins(age, young)).psi - 5.78)).toBeLessThan(0.1);
    expect(psi(age.counts, countInBins(age, ages)).psi).toBeCloseTo(0.0011, 4);
  });

  it('finds the 19 test rows that equal a training row by their digests', async () => {
    const digestsOf = async (parts: typeof train.parts) =>
      (await all(readParts(store, parts))).map((row) => row.rowDigest);
    const known = new Set(await digestsOf(train.parts));
    const shared = (await digestsOf(test.parts)).filter((digest) => known.has(digest));
    expect(shared).toHaveLength(19);
  });

  it('derives the full model: 5 numbers and 98 categories, and no protected input by default', async () => {
    const profile = await readJsonArtifact<SnapshotProfile>(store, train.profileRef);
    expect(profile.columns[0]).toMatchObject({
      rows: 30_162,
      missing: 0,
      number: { min: 17, max: 90, quantiles: { p50: 37 } },
    });
    const names = contract.fields.map(({ name }) => name);
    const features = names.filter((name) => !['fnlwgt', 'income'].includes(name));
    const derived = deriveModelContract({ contract, features, useProtected: true }, profile);
    if (!derived.ok) throw new Error(JSON.stringify(derived.errors));
    const { fields } = derived.contract.input;
    expect(fields.filter(({ type }) => type === 'integer')).toHaveLength(5);
    expect(fields.reduce((total, field) => total + (field.enum?.length ?? 0), 0)).toBe(98);
    expect(derived.classes).toEqual(['<=50K', '>50K']);
    const byDefault = deriveModelContract({ contract }, profile);
    const inputs = byDefault.ok ? byDefault.contract.input.fields.map(({ name }) => name) : [];
    expect(inputs).toEqual(names.filter((name) => !['race', 'sex', 'income'].includes(name)));
  });
});
