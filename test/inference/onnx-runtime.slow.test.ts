import { exportModel } from '../../src/adapters/onnx/export-model.js';
import type { Digest } from '../../src/domain/ids.js';
import type { RuntimeVersion } from '../../src/domain/inference/runtime.js';
import { createPredictor } from '../../src/domain/training/trained-model.js';
import { eventually } from '../support/eventually.js';
import { createRuntimeHarness, startTestChild } from '../support/model-runtime.js';
import { tableOf, trainModel, trainerSpec } from '../support/train-model.js';
import { seededFields, seededRows } from '../training/seeded-rows.js';

const classes = ['no', 'yes'] as const;
const harness = createRuntimeHarness();
afterAll(() => harness.close());

const data = seededRows(1_000, 31);
const table = tableOf(seededFields, data);
const signal = new AbortController().signal;
const modelOf = (lambda: number) =>
  trainModel({ table, classes }, trainerSpec('logistic', { lambda }));
const model = modelOf(1);
const bytes = exportModel(model);
const digest = harness.put(bytes);
const predict = createPredictor(model);
const rows = data.rows.slice(0, 8);
const version: RuntimeVersion = {
  digest,
  golden: rows.map((inputs) => ({ inputs, probability: predict(inputs) })),
};
// Enough work for one call to be in the middle of when something happens to its process.
const slow = trainModel({ table, classes }, trainerSpec('gbt', { trees: 600, depth: 8 }));
const slowVersion: RuntimeVersion = { digest: harness.put(exportModel(slow)), golden: [] };
const manyRows = Array.from({ length: 4_000 }, (_, at) => data.rows[at % 1_000] ?? {});

describe('onnx runtime', () => {
  it('answers with the trained model’s probability and decides the label at one half', async () => {
    const runtime = harness.start();
    const result = await runtime.predict({ version, rows, timeoutMs: 20_000 }, signal);
    for (const [at, row] of rows.entries()) {
      const p = result.probabilities[at] ?? Number.NaN;
      expect(Math.abs(p - predict(row))).toBeLessThan(1e-5);
      expect(result.labels[at]).toBe(p >= 0.5 ? 'yes' : 'no');
    }
    expect(new Set(result.labels).size).toBe(2);
    expect((await runtime.predict({ version, rows: [], timeoutMs: 5_000 }, signal)).labels).toEqual(
      [],
    );
    runtime.close();
  }, 30_000);

  it('loads once for all who ask, on every slot, and is ready only then', async () => {
    const runtime = harness.start({ slots: 2 });
    const before = harness.located.length;
    expect(runtime.isReady(digest)).toBe(false);
    const ready = await Promise.all([
      runtime.prepare(version, signal),
      runtime.prepare(version, signal),
      runtime.predict({ version, rows, timeoutMs: 20_000 }, signal),
    ]);
    expect(ready[0]).toMatchObject({
      digest,
      sizeBytes: bytes.byteLength,
      fields: ['size', 'count', 'colour', 'member'],
      classes: ['no', 'yes'],
    });
    expect(harness.located.length - before).toBe(1);
    expect(runtime.isReady(digest)).toBe(true);
    expect(await runtime.health(signal)).toMatchObject({
      status: 'ok',
      queueDepth: 0,
      resident: [{ digest, pinned: false }],
    });
    await runtime.dispose(version);
    expect(runtime.isReady(digest)).toBe(false);
    runtime.close();
  }, 30_000);

  it('refuses an artifact with one bit flipped, and serves it once it is whole', async () => {
    const runtime = harness.start();
    const other = exportModel(modelOf(2));
    const otherDigest = harness.put(other);
    const flipped = other.slice();
    flipped[100] = (flipped[100] ?? 0) ^ 1;
    harness.replace(otherDigest, flipped);
    const broken = { digest: otherDigest, golden: [] };
    await expect(runtime.prepare(broken, signal)).rejects.toMatchObject({
      class: 'binding',
      code: 'ARTIFACT_CORRUPT',
    });
    expect(runtime.isReady(otherDigest)).toBe(false);
    harness.replace(otherDigest, other);
    await expect(runtime.prepare(broken, signal)).resolves.toMatchObject({ digest: otherDigest });
    runtime.close();
  }, 30_000);

  it('never becomes ready where a golden input is answered differently', async () => {
    const runtime = harness.start();
    const [first, ...rest] = version.golden;
    const wrong = {
      digest,
      golden: [
        ...rest,
        { inputs: first?.inputs ?? {}, probability: (first?.probability ?? 0) + 1e-4 },
      ],
    };
    await expect(runtime.prepare(wrong, signal)).rejects.toMatchObject({ code: 'GOLDEN_MISMATCH' });
    expect(runtime.isReady(digest)).toBe(false);
    expect(await runtime.health(signal)).toMatchObject({ resident: [] });
    runtime.close();
  }, 30_000);

  it('survives a child killed in the middle of a call: that call fails, the next one is answered', async () => {
    const runtime = harness.start();
    await runtime.prepare(slowVersion, signal);
    const call = { version: slowVersion, rows: manyRows, timeoutMs: 30_000 };
    const pid = (await runtime.health(signal)).slots[0]?.pid ?? 0;
    const running = runtime.predict(call, signal);
    const failed = expect(running).rejects.toMatchObject({ class: 'server' });
    process.kill(pid, 'SIGKILL');
    await failed;
    const again = await runtime.predict({ ...call, rows }, signal);
    expect(again.probabilities).toHaveLength(rows.length);
    const { slots } = await runtime.health(signal);
    expect(slots[0]).toMatchObject({ restarts: 1 });
    expect(slots[0]?.pid).not.toBe(pid);
    runtime.close();
  }, 60_000);

  it('kills a call at its timeout and reloads the models into the replacement', async () => {
    const runtime = harness.start();
    await runtime.prepare(version, signal);
    await runtime.prepare(slowVersion, signal);
    const pid = (await runtime.health(signal)).slots[0]?.pid;
    const call = { version: slowVersion, rows: manyRows, timeoutMs: 2 };
    await expect(runtime.predict(call, signal)).rejects.toMatchObject({ class: 'timeout' });
    const answer = await runtime.predict({ version, rows, timeoutMs: 20_000 }, signal);
    expect(answer.probabilities).toHaveLength(rows.length);
    expect((await runtime.health(signal)).slots[0]?.pid).not.toBe(pid);
    runtime.close();
  }, 60_000);

  it('refuses a call as overload while the queue is full, and times out a call that waits too long', async () => {
    const runtime = harness.start({ maxQueue: 1 });
    await runtime.prepare(slowVersion, signal);
    const call = { version: slowVersion, rows: manyRows, timeoutMs: 30_000 };
    const running = runtime.predict(call, signal);
    const late = expect(
      runtime.predict({ ...call, rows, timeoutMs: 1 }, signal),
    ).rejects.toMatchObject({ class: 'timeout' });
    const surplus = runtime.predict({ ...call, rows }, signal);
    await expect(surplus).rejects.toMatchObject({ class: 'overload' });
    await late;
    expect((await running).probabilities).toHaveLength(manyRows.length);
    runtime.close();
  }, 60_000);

  it('lets a caller leave at once when its signal aborts, without harm to the slot', async () => {
    const runtime = harness.start();
    await runtime.prepare(slowVersion, signal);
    const pid = (await runtime.health(signal)).slots[0]?.pid;
    const leaving = new AbortController();
    const call = { version: slowVersion, rows: manyRows, timeoutMs: 30_000 };
    const running = runtime.predict(call, leaving.signal);
    const left = expect(running).rejects.toThrow('the caller left');
    await eventually(
      async () => expect((await runtime.health(signal)).slots[0]?.state).toBe('busy'),
      { everyMs: 1 },
    );
    leaving.abort(new Error('the caller left'));
    await left;
    await expect(runtime.predict(call, leaving.signal)).rejects.toThrow('the caller left');
    await runtime.predict({ ...call, rows }, signal);
    expect((await runtime.health(signal)).slots[0]).toMatchObject({ pid, restarts: 0 });
    runtime.close();
  }, 60_000);

  it('evicts the least recently used model that is not pinned', async () => {
    const artifacts = [1, 2, 3].map((lambda) => exportModel(modelOf(lambda * 10)));
    const versionOf = (at: number): RuntimeVersion => ({
      digest: harness.put(artifacts[at] ?? new Uint8Array()),
      golden: [],
    });
    const [a, b, c] = [versionOf(0), versionOf(1), versionOf(2)];
    const size = Math.max(...artifacts.map((artifact) => artifact.byteLength));
    const runtime = harness.start({ maxResidentBytes: 2 * size });
    const residents = async (): Promise<Digest[]> =>
      (await runtime.health(signal)).resident.map((entry) => entry.digest);
    await runtime.prepare(a, signal);
    await runtime.prepare(b, signal);
    runtime.pin([a.digest]);
    await runtime.prepare(c, signal);
    expect(await residents()).toEqual([a.digest, c.digest]);
    await runtime.predict({ version: b, rows, timeoutMs: 20_000 }, signal);
    expect(await residents()).toEqual([a.digest, b.digest]);
    runtime.pin([a.digest, b.digest]);
    await expect(runtime.prepare(c, signal)).rejects.toMatchObject({ class: 'overload' });
    runtime.close();
  }, 60_000);

  it('refuses values that the runtime would misread in silence', async () => {
    const runtime = harness.start();
    const row = rows[0] ?? {};
    for (const bad of [
      { size: null },
      { size: Number.NaN },
      { size: 'ten' },
      { colour: 're\0d' },
    ]) {
      const call = { version, rows: [{ ...row, ...bad }], timeoutMs: 20_000 };
      await expect(runtime.predict(call, signal)).rejects.toMatchObject({ class: 'caller' });
    }
    runtime.close();
  }, 30_000);

  it('says that it is unavailable where the package is not installed', async () => {
    const runtime = harness.start({ runtimePackage: 'onnxruntime-not-installed' });
    await expect(runtime.prepare(version, signal)).rejects.toMatchObject({
      class: 'binding',
      code: 'RUNTIME_UNAVAILABLE',
    });
    expect(runtime.capabilities(version)).toMatchObject({ predict: false });
    expect(await runtime.health(signal)).toMatchObject({ status: 'unavailable' });
    runtime.close();
  }, 30_000);

  it('waits longer before each restart of a child that keeps dying, and works once it lives', async () => {
    const spawned: number[] = [];
    const runtime = harness.start({
      startChild: (entry, data) => {
        const child = startTestChild(entry, data);
        spawned.push(performance.now());
        if (spawned.length <= 3) child.kill('SIGKILL');
        return child;
      },
    });
    const answer = await runtime.predict({ version, rows, timeoutMs: 30_000 }, signal);
    expect(answer.probabilities).toHaveLength(rows.length);
    expect((await runtime.health(signal)).slots[0]).toMatchObject({ state: 'idle', restarts: 3 });
    const gaps = spawned.slice(1).map((at, index) => at - (spawned[index] ?? 0));
    expect(gaps[2]).toBeGreaterThan(100);
    runtime.close();
  }, 60_000);
});
