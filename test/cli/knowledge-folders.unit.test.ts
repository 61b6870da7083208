import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type KnowledgeWorld,
  collectionId,
  ok,
  openKnowledgeWorld,
  page,
  problem,
  source,
} from './knowledge-world.js';

let world: KnowledgeWorld;
let folder: string;
beforeEach(async () => {
  world = await openKnowledgeWorld();
  folder = await mkdtemp(join(tmpdir(), 'anneal-Docs-'));
});
afterEach(() => Promise.all([world.close(), rm(folder, { recursive: true })]));

describe('etl source add folder', () => {
  const add = (...more: string[]) =>
    world.anneal('etl', 'source', 'add', 'folder', folder, '--collection', 'handbook', ...more);

  beforeEach(() => {
    world.api['GET /v1/sources'] = ok(page());
    world.api['POST /v1/sources'] = (_url, body) => ({
      status: 201,
      body: source(JSON.parse(body) as object),
    });
  });

  it('lets a platform on this machine read the folder by its absolute path', async () => {
    const added = await add('--name', 'docs', '--acl', 'group:staff', '--csv-key', 'question');
    expect(added.code).toBe(0);
    expect(world.bodyOf('POST /v1/sources')).toEqual({
      collectionId,
      name: 'docs',
      kind: 'folder',
      config: { path: folder, csv: { keyColumn: 'question' } },
      acl: ['group:staff'],
    });
    expect(added.out).toContain(`the platform reads ${folder} itself`);
    expect(added.err).toContain('next: anneal etl source watch handbook');
  });

  it('names the source after its folder', async () => {
    await add();
    expect(world.bodyOf('POST /v1/sources')).toMatchObject({
      name: expect.stringMatching(/^anneal-docs-[a-z0-9-]*[a-z0-9]$/) as string,
    });
  });

  it('names the variable and --upload where the platform may not read the folder', async () => {
    world.api['POST /v1/sources'] = problem(422, 'SOURCE_CONFIG_INVALID', {
      errors: [{ pointer: '/config/path', code: 'SOURCE_CONFIG_INVALID' }],
    });
    const refused = await add();
    expect(refused.code).toBe(1);
    expect(refused.err).toContain(`ANNEAL_SOURCE_FOLDERS=${folder}`);
    expect(refused.err).toContain('--upload');
  });

  it('looks again at a folder that is a source already, once a scan that runs is over', async () => {
    world.api['GET /v1/sources'] = ok(page(source({ config: { path: folder } })));
    let asked = 0;
    world.api['POST /v1/sources/src_1:scan'] = () =>
      ++asked < 4 ? problem(409, 'SCAN_RUNNING') : { status: 202, body: {} };
    const again = await add('--name', 'docs');
    expect(again.code).toBe(0);
    expect(asked).toBe(4);
    expect(again.out).toContain('Known source docs');
    expect(world.asked.map(({ call }) => call)).not.toContain('POST /v1/sources');
  });

  it('does not wait for ever for a scan that waits for a decision', async () => {
    world.api['GET /v1/sources'] = ok(page(source({ config: { path: folder } })));
    world.api['POST /v1/sources/src_1:scan'] = problem(409, 'SCAN_RUNNING');
    const again = await add('--name', 'docs');
    expect(again.code).toBe(0);
    expect(again.err).toContain('next: anneal etl source watch handbook');
  });

  it('refuses the name of another source', async () => {
    world.api['GET /v1/sources'] = ok(page(source()));
    const refused = await add('--name', 'docs');
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toContain('reads /srv/docs: give another --name');
  });

  it('refuses what is no folder before it asks anybody', async () => {
    const file = await world.cli.file('a.md', '# A');
    const refused = await world.anneal(
      ...['etl', 'source', 'add', 'folder', file, '--collection', 'handbook'],
    );
    expect(refused).toMatchObject({ code: 2, err: `${file} is not a folder.` });
    expect(world.asked).toEqual([]);
  });

  describe('of another machine', () => {
    beforeEach(async () => {
      world.moveAway();
      await mkdir(join(folder, 'sub'));
      await Promise.all([
        writeFile(join(folder, 'a.md'), '# A'),
        writeFile(join(folder, 'sub', 'b.txt'), 'b'.repeat(100_000)),
        writeFile(join(folder, 'logo.png'), 'png'),
        symlink(join(folder, 'a.md'), join(folder, 'link.md')),
      ]);
    });
    beforeEach(() => {
      world.api['GET /v1/documents'] = ok(page());
    });
    const keysOf = () =>
      world.asked
        .filter(({ call }) => call === 'PUT /v1/sources/src_1/documents')
        .map(({ body }) => /\{"key":"([^"]+)"\}/.exec(body)?.[1]);

    it('uploads every file that can be read, under its path, and names what it leaves out', async () => {
      world.api['PUT /v1/sources/src_1/documents'] = {
        status: 202,
        body: { changeToken: 't', recorded: 1 },
      };
      await writeFile(join(folder, 'table.tsv'), 'a\tb\n');
      const added = await add();
      expect(added.code).toBe(0);
      expect(world.bodyOf('POST /v1/sources')).toMatchObject({ kind: 'upload', config: {} });
      expect(keysOf().sort()).toEqual(['a.md', 'sub/b.txt', 'table.tsv']);
      expect(added.out).toContain('are sent to https://anneal.example.com');
      expect(added.out).toContain('skipped  logo.png: not a type that is read');
      expect(added.out).toContain('skipped  link.md: a link');
      expect(added.out).toContain('5 files: 3 sent, 2 skipped');
      expect(added.err).toMatch(/3 of 3 {2}/);
    });

    it('refuses a document per row, which only a folder that the platform reads can have', async () => {
      const refused = await add('--csv-key', 'question');
      expect(refused).toMatchObject({ code: 2, out: '' });
      expect(refused.err).toContain('Leave --csv-key and --csv-title out');
      expect(world.asked).toEqual([]);
    });

    it('tries again under the same key where the platform is busy', async () => {
      let tries = 0;
      world.api['PUT /v1/sources/src_1/documents'] = () =>
        ++tries <= 2
          ? problem(503, 'UNAVAILABLE')
          : { status: 202, body: { changeToken: 't', recorded: 0 } };
      await rm(join(folder, 'sub'), { recursive: true });
      const newKey = () => `key-${world.asked.length}`;
      world.cli.deps = { ...world.cli.deps, newKey };
      const added = await add();
      expect(added.code).toBe(0);
      expect(added.out).toContain('1 unchanged');
      const puts = world.asked.filter(({ call }) => call.startsWith('PUT'));
      expect(puts).toHaveLength(3);
      expect(new Set(puts.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    });

    it('goes on after a file that is refused, names it and exits 1', async () => {
      world.api['PUT /v1/sources/src_1/documents'] = (_url, body) =>
        body.includes('"key":"a.md"')
          ? problem(415, 'UNSUPPORTED_MEDIA_TYPE')
          : { status: 202, body: { changeToken: 't', recorded: 1 } };
      const added = await add();
      expect(added.code).toBe(1);
      expect(added.out).toContain('refused  a.md: UNSUPPORTED_MEDIA_TYPE');
      expect(added.out).toContain('1 sent, 2 skipped, 1 refused');
    });

    it('names what an earlier upload sent and the folder no longer has; it deletes nothing', async () => {
      world.api['PUT /v1/sources/src_1/documents'] = {
        status: 202,
        body: { changeToken: 't', recorded: 0 },
      };
      const document = (key: string, state: string) => ({
        ...{ id: `id of ${key}`, key, state, sourceId: 'src_1', updatedAt: '2026-11-21T10:00:00Z' },
      });
      world.api['GET /v1/documents'] = ok(
        page(
          document('a.md', 'INDEXED'),
          document('logo.png', 'PENDING'),
          document('left.md', 'INDEXED'),
          document('long-gone.md', 'DELETED'),
        ),
      );
      const added = await add();
      expect(added.code).toBe(0);
      const gone = added.out.split('\n').filter((line) => line.startsWith('gone'));
      expect(gone).toEqual([
        'gone     left.md is still found: anneal documents delete id of left.md',
      ]);
      expect(world.asked.every(({ call }) => !call.startsWith('DELETE'))).toBe(true);
    });

    it('sends a path that a Mac spells in NFD as the key that the platform takes, and finds it again', async () => {
      world.api['PUT /v1/sources/src_1/documents'] = {
        status: 202,
        body: { changeToken: 't', recorded: 1 },
      };
      const known = { state: 'INDEXED', sourceId: 'src_1', updatedAt: '2026-11-21T10:00:00Z' };
      const document = { ...known, id: 'doc_1', key: 'caf\u00e9.md' };
      world.api['GET /v1/documents'] = ok(page(document));
      await writeFile(join(folder, 'cafe\u0301.md'), '# C');
      const added = await add();
      expect(added.code).toBe(0);
      expect(keysOf()).toContain('caf\u00e9.md');
      expect(added.out).not.toContain('gone');
    });

    it('stops at a refusal that every file would meet', async () => {
      world.api['PUT /v1/sources/src_1/documents'] = problem(409, 'SOURCE_PAUSED');
      const refused = await add();
      expect(refused.code).toBe(1);
      expect(refused.err).toContain('SOURCE_PAUSED (409)');
    });
  });
});
