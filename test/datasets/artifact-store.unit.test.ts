import { appendFile, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { openFolderStore } from '../../src/adapters/artifacts/folder-store.js';
import { chunked, tenantId, withStore } from './stage-table.js';

const text = 'the bytes of a model '.repeat(5_000);
const hex = createHash('sha256').update(text).digest('hex');

async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let all = '';
  for await (const chunk of chunks) all += Buffer.from(chunk).toString();
  return all;
}

describe('artifact store in a folder', () => {
  it('addresses bytes by their digest within a tenant, once however often they are stored', () =>
    withStore(async (store) => {
      const first = await store.put({ tenantId, body: chunked(text) });
      expect(first).toEqual({
        ref: `default/sha256/${hex}`,
        sha256: `sha256:${hex}`,
        sizeBytes: text.length,
      });
      expect(await store.put({ tenantId, body: chunked(text, 10) })).toEqual(first);
      const other = await store.put({ tenantId: 'other', body: chunked(text) });
      expect(other.ref).toBe(`other/sha256/${hex}`);
      await store.delete(first.ref);
      await store.delete(first.ref);
      expect(await store.stat(first.ref)).toBeUndefined();
      expect(await store.stat(other.ref)).toEqual({
        sizeBytes: text.length,
        sha256: `sha256:${hex}`,
      });
      expect(await readAll(store.openStream(other.ref, { verify: true }))).toBe(text);
      const range = await store.readRange(other.ref, text.length - 6, text.length + 10);
      expect(Buffer.from(range).toString()).toBe(text.slice(-6));
    }));

  it('refuses more bytes than allowed while they stream, and leaves nothing behind', () =>
    withStore(async (store, root) => {
      let asked = 0;
      async function* endless(): AsyncGenerator<Uint8Array> {
        for (;;) {
          asked++;
          yield new Uint8Array(1_000);
        }
      }
      const put = store.put({ tenantId, body: endless(), maxBytes: 10_000 });
      await expect(put).rejects.toMatchObject({
        code: 'PAYLOAD_TOO_LARGE',
        extensions: { limitBytes: 10_000 },
      });
      expect(asked).toBe(11);
      const left = await readdir(root, { recursive: true });
      expect(left).toEqual(['.incoming']);
      const exact = await store.put({ tenantId, body: chunked('x'.repeat(10)), maxBytes: 10 });
      expect(exact.sizeBytes).toBe(10);
    }));

  it('leaves nothing behind where the sender breaks off or the call is aborted', () =>
    withStore(async (store, root) => {
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield Buffer.from(text);
        throw new Error('connection reset');
      }
      await expect(store.put({ tenantId, body: broken() })).rejects.toThrow('connection reset');
      const signal = AbortSignal.abort();
      await expect(store.put({ tenantId, body: chunked(text), signal })).rejects.toThrow(/abort/i);
      expect(await readdir(root, { recursive: true })).toEqual(['.incoming']);
    }));

  it('finds changed and missing bytes when asked to verify', () =>
    withStore(async (store) => {
      const { ref } = await store.put({ tenantId, body: chunked(text) });
      const path = await store.getPath(ref, { verify: true });
      await appendFile(path, '!');
      const corrupt = { code: 'ARTIFACT_CORRUPT' };
      await expect(store.getPath(ref, { verify: true })).rejects.toMatchObject(corrupt);
      await expect(readAll(store.openStream(ref, { verify: true }))).rejects.toMatchObject(corrupt);
      await store.put({ tenantId, body: chunked(text) });
      expect(await store.getPath(ref, { verify: true })).toBe(path);
      await store.delete(ref);
      await expect(readAll(store.openStream(ref))).rejects.toMatchObject(corrupt);
      await expect(store.getPath(ref)).rejects.toMatchObject(corrupt);
    }));

  it('keeps staged objects by scope, replaces them whole, and drops a scope at once', () =>
    withStore(async (store) => {
      const name = { tenantId, scope: 'pub_1', name: 'run-00001.jsonl.gz' };
      await store.putStaged({ ...name, body: chunked('first') });
      const { ref } = await store.putStaged({ ...name, body: chunked('second') });
      await store.putStaged({ ...name, name: 'a.json', body: chunked('{}') });
      await store.putStaged({ ...name, scope: 'pub_2', body: chunked('other') });
      expect(await readAll(store.openStream(ref, { verify: true }))).toBe('second');
      expect((await store.listStaged(tenantId, 'pub_1')).map((one) => one.name)).toEqual([
        'a.json',
        'run-00001.jsonl.gz',
      ]);
      await store.dropStaged(tenantId, 'pub_1');
      await store.dropStaged(tenantId, 'pub_1');
      expect(await store.listStaged(tenantId, 'pub_1')).toEqual([]);
      expect(await store.findStaged(name)).toBeUndefined();
      expect(await store.listStaged(tenantId, 'pub_2')).toHaveLength(1);
    }));

  it('keeps a staged object under its digest, once however often it is asked to', () =>
    withStore(async (store) => {
      const name = { tenantId, scope: 'upload-req_1', name: 'file' };
      const staged = await store.putStaged({ ...name, body: chunked(text) });
      const ref = await store.keepStaged({ tenantId, ...staged });
      expect(ref).toBe(`default/sha256/${hex}`);
      expect(await store.keepStaged({ tenantId, ...staged })).toBe(ref);
      await store.dropStaged(tenantId, name.scope);
      expect(await readAll(store.openStream(ref, { verify: true }))).toBe(text);
      // Another one with the same bytes is the same artifact; dropping what it was staged in leaves it.
      const again = await store.putStaged({ ...name, body: chunked(text) });
      expect(await store.keepStaged({ tenantId, ...again })).toBe(ref);
      await store.dropStaged(tenantId, name.scope);
      expect(await readAll(store.openStream(ref, { verify: true }))).toBe(text);
      const gone = { tenantId, ref: staged.ref, sha256: `sha256:${'0'.repeat(64)}` as const };
      await expect(store.keepStaged(gone)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
    }));

  it('sweeps uploads that nobody wrote to for the time that is said, and nothing else', () =>
    withStore(async (store, root) => {
      const nowMs = Date.now();
      const age = async (path: string, minutes: number): Promise<void> => {
        const at = new Date(nowMs - minutes * 60_000);
        await utimes(join(root, path), at, at);
      };
      const stage = async (scope: string, minutes: number): Promise<void> => {
        await store.putStaged({ tenantId, scope, name: 'file', body: chunked(scope) });
        for (const path of ['/file', '']) await age(`${tenantId}/staged/${scope}${path}`, minutes);
      };
      await stage('upload-req_old', 31);
      await stage('upload-req_young', 29);
      await stage('pub_1', 10_000);
      const { ref } = await store.put({ tenantId, body: chunked(text) });
      await age(`${tenantId}/sha256/${hex.slice(0, 2)}/${hex}`, 10_000);
      await writeFile(join(root, '.incoming', 'half'), 'half');
      await age('.incoming/half', 25 * 60);
      const how = { nowMs, uploadMs: 30 * 60_000 };
      // As several processes do.
      const removed = await Promise.all([store.sweep(how), store.sweep(how)]);
      expect(Math.max(...removed)).toBe(2);
      expect((await readdir(join(root, tenantId, 'staged'))).sort()).toEqual([
        'pub_1',
        'upload-req_young',
      ]);
      expect(await readdir(join(root, '.incoming'))).toEqual([]);
      expect(await readAll(store.openStream(ref, { verify: true }))).toBe(text);
      expect(await store.sweep(how)).toBe(0);
    }));

  it.each([
    '../../etc/passwd',
    'default/sha256/../../x',
    `default/sha256/${'A'.repeat(64)}`,
    'default/staged/../x',
    'default/staged/pub_1/..',
    '',
  ])('refuses the reference %j', (ref) =>
    withStore(async (store) => {
      await expect(store.readRange(ref, 0, 1)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
      expect(() => store.openStream(ref)).toThrow(/not valid/);
    }),
  );

  it('refuses tenants and scopes that are no names', () =>
    withStore(async (store) => {
      const code = { code: 'ARTIFACT_CORRUPT' };
      await expect(store.put({ tenantId: '..', body: chunked('x') })).rejects.toMatchObject(code);
      const staged = { tenantId, scope: '../x', name: 'a', body: chunked('x') };
      await expect(store.putStaged(staged)).rejects.toMatchObject(code);
      await expect(store.dropStaged(tenantId, '..')).rejects.toMatchObject(code);
    }));

  it('removes what a crash left in the temporary folder a day later, not before', () =>
    withStore(async (_, root) => {
      const nowMs = Date.UTC(2026, 0, 2);
      for (const [name, ageMs] of [
        ['old', 25 * 3_600_000],
        ['new', 3_600_000],
      ] as const) {
        await writeFile(join(root, '.incoming', name), 'half');
        const at = new Date(nowMs - ageMs);
        await utimes(join(root, '.incoming', name), at, at);
      }
      await openFolderStore({ root, nowMs });
      expect(await readdir(join(root, '.incoming'))).toEqual(['new']);
    }));
});
