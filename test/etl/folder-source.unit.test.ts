import { mkdir, mkdtemp, rm, symlink, truncate, unlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFolderSource } from '../../src/adapters/folder-source/create-folder-source.js';
import type { SourceFacts } from '../../src/domain/etl/ledger.js';
import type { ListedDocument } from '../../src/domain/etl/scan.js';

let root: string;
const { signal } = new AbortController();
const sourceAt = (path: string): SourceFacts => ({
  sourceId: 'src_1',
  collectionId: 'col_1',
  kind: 'folder',
  config: { path },
  state: 'ACTIVE',
  acl: ['public'],
  retainRaw: false,
  pipeline: { chunking: { targetChars: 1200, maxChars: 1600 }, piiPolicy: {} },
});
const docs = () => sourceAt(join(root, 'docs'));
const folder = () => createFolderSource({ roots: [root] });
const page = (cursor?: string, maxEntries = 3) => ({ cursor, maxEntries, maxBytes: 1e6, signal });

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'anneal-folder-'));
  await mkdir(join(root, 'docs/deep/er'), { recursive: true });
  for (const name of ['b.md', 'a.md', 'deep/c.md', 'deep/er/d.md', 'z.md'])
    await writeFile(join(root, 'docs', name), `text of ${name}`);
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe('the folder source', () => {
  it('leaves out what is no document by its name, and what is hidden', async () => {
    await mkdir(join(root, 'docs/.git'));
    for (const name of ['logo.png', '.draft.md', '.git/notes.md', 'LICENSE', 'e.txt'])
      await writeFile(join(root, 'docs', name), 'text');
    const { entries, complete } = await folder().list(docs(), page(undefined, 100));
    expect(entries.map(({ naturalKey }) => naturalKey)).toEqual([
      'a.md',
      'b.md',
      'deep/c.md',
      'deep/er/d.md',
      'e.txt',
      'z.md',
    ]);
    expect(complete).toBe(true);
  });

  it('lists every file once, page by page, also where files come and go in between', async () => {
    const first = await folder().list(docs(), page());
    expect(first.entries.map(({ naturalKey }) => naturalKey)).toEqual([
      'a.md',
      'b.md',
      'deep/c.md',
    ]);
    await unlink(join(root, 'docs/a.md'));
    await writeFile(join(root, 'docs/aa.md'), 'late');
    const second = await folder().list(docs(), page(first.cursor));
    expect(second.entries.map(({ naturalKey }) => naturalKey)).toEqual(['deep/er/d.md', 'z.md']);
    expect(second).toMatchObject({ cursor: undefined, complete: true });
  });

  it('gives another token to another content or time, the same token to the same file', async () => {
    const tokenOf = async () => {
      const { entries } = await folder().list(docs(), page());
      return entries.find(({ naturalKey }: ListedDocument) => naturalKey === 'a.md')?.token;
    };
    const before = await tokenOf();
    expect(await tokenOf()).toBe(before);
    await utimes(join(root, 'docs/a.md'), 1, 1);
    const touched = await tokenOf();
    expect(touched).not.toBe(before);
    expect((await folder().read(docs(), 'a.md', signal))?.token).toBe(touched);
  });

  it('reads what is there, and answers nothing for what is gone', async () => {
    const read = await folder().read(docs(), 'deep/c.md', signal);
    expect(Buffer.from(read?.bytes ?? []).toString()).toBe('text of deep/c.md');
    expect(await folder().read(docs(), 'gone.md', signal)).toBeUndefined();
  });

  it('refuses links, paths out of the folder, folders out of the roots, and more than 64 MiB', async () => {
    await writeFile(join(root, 'secret.md'), 'secret');
    await symlink(join(root, 'secret.md'), join(root, 'docs/link.md'));
    await symlink(root, join(root, 'docs/up'));
    const { entries } = await folder().list(docs(), page(undefined, 100));
    expect(entries).toHaveLength(5);
    for (const key of ['link.md', 'up/secret.md', '../secret.md'])
      await expect(folder().read(docs(), key, signal)).rejects.toMatchObject({
        code: 'DOCUMENT_REFUSED',
      });
    await truncate(join(root, 'docs/a.md'), 64 * 1024 * 1024 + 1);
    await expect(folder().read(docs(), 'a.md', signal)).rejects.toMatchObject({
      code: 'DOCUMENT_REFUSED',
    });
    await expect(folder().list(sourceAt(tmpdir()), page())).rejects.toMatchObject({
      code: 'SOURCE_CONFIG_INVALID',
    });
    await expect(folder().list(sourceAt(join(root, 'none')), page())).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
    });
  });
});
