import { mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFolderSource } from '../../src/adapters/folder-source/create-folder-source.js';
import { createFolderWatch } from '../../src/adapters/folder-source/folder-watch.js';
import {
  createFolderWatchLoop,
  type FolderWatchDeps,
} from '../../src/activities/etl/folder-watch-loop.js';
import type { ChangeRecord, SourceFacts } from '../../src/domain/etl/ledger.js';
import { eventually } from '../support/eventually.js';

let root: string;
let source: SourceFacts;
let world: World;

/** One source over a real folder, with what the loop asked for. */
class World {
  changes: ChangeRecord[] = [];
  scans = 0;
  /** Times that somebody else held the lease. */
  refusals = 0;
  scanRuns = false;
  storeIsDown = false;
  state: SourceFacts['state'] = 'ACTIVE';
  holder: { owner: string; epoch: bigint } | undefined;
  readonly stops: (() => Promise<void>)[] = [];
  readonly warnings: string[] = [];

  keys = (): string[] => this.changes.map(({ naturalKey }) => naturalKey);

  deps(processId: string): FolderWatchDeps {
    const folder = createFolderWatch({ roots: [root] });
    return {
      ...folder,
      tenants: async () => ['t'],
      scheduledWork: async (tenant) =>
        this.state === 'ACTIVE'
          ? [
              {
                ...{ tenant, work: 'scan' as const, id: source.sourceId },
                ...{ everyMs: 60_000, offsetMs: 0, jitterMs: 0 },
              },
            ]
          : [],
      findSource: async () => source,
      recordChanges: async (_caller, _sourceId, changes) => {
        if (this.storeIsDown) throw new Error('the store is down');
        this.changes.push(...changes);
      },
      startHintedScan: async () => {
        if (this.scanRuns) return { state: 'SKIPPED', reason: 'RUNNING' };
        this.scans += 1;
        return { state: 'STARTED', workflowId: 'w' };
      },
      shards: {
        acquireShard: async (_tenant, { owner }) => {
          if (this.holder !== undefined) {
            this.refusals += 1;
            return undefined;
          }
          this.holder = { owner, epoch: 1n };
          return { epoch: 1n };
        },
        renewShard: async () => this.holder?.owner === processId,
        releaseShard: async () => {
          if (this.holder?.owner === processId) this.holder = undefined;
        },
      },
      log: { warn: (_facts, message) => void this.warnings.push(message) },
      processId,
      intervals: { rowsMs: 50, leaseMs: 400 },
    };
  }

  start(processId = 'prc_1'): { stop: () => Promise<void>; healthy: () => boolean } {
    const stopping = new AbortController();
    const loop = createFolderWatchLoop(this.deps(processId));
    const ended = loop.run(stopping.signal);
    const stop = async () => {
      stopping.abort();
      await ended;
    };
    this.stops.push(stop);
    return { stop, healthy: loop.healthy };
  }
}

const write = (path: string, text: string) => writeFile(join(root, path), text);
/** The scan that follows the subscription says that the folder is watched. */
const isWatched = (scans = 1) => eventually(() => expect(world.scans).toBe(scans));

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'anneal-watch-')));
  await mkdir(join(root, 'sub'));
  await write('there.md', 'it was there before');
  world = new World();
  source = {
    ...{ sourceId: 'src_1', collectionId: 'col_1', kind: 'folder', state: 'ACTIVE' },
    config: { path: root },
    ...{ acl: [], retainRaw: false },
    pipeline: { chunking: { targetChars: 1_200, maxChars: 1_600 }, piiPolicy: {} },
  };
});
afterEach(async () => {
  for (const stop of world.stops) await stop();
  await rm(root, { recursive: true, force: true });
});

describe('watching a folder', () => {
  it('a new, an edited and a nested file become changes with the token that a listing gives them', async () => {
    world.start();
    await isWatched();
    await write('new.md', 'a new one');
    await write('there.md', 'edited');
    await write('sub/deep.md', 'below');
    await eventually(() =>
      expect([...new Set(world.keys())].sort()).toEqual(['new.md', 'sub/deep.md', 'there.md']),
    );
    const { entries } = await createFolderSource({ roots: [root] }).list(source, {
      ...{ maxEntries: 100, maxBytes: 1_000_000 },
      signal: new AbortController().signal,
    });
    const listed = new Map(entries.map(({ naturalKey, token }) => [naturalKey, token]));
    await eventually(() => {
      const newest = new Map(world.changes.map((each) => [each.naturalKey, each.sourceVersion]));
      expect(newest).toEqual(listed);
    });
  });

  it('a deleted or renamed file takes a listing, which alone proves a deletion', async () => {
    world.start();
    await isWatched();
    await rm(join(root, 'there.md'));
    await isWatched(2);
    expect(world.changes).toEqual([]);
    await write('a.md', 'one');
    await eventually(() => expect(world.keys()).toContain('a.md'));
    const before = world.scans;
    await rename(join(root, 'a.md'), join(root, 'b.md'));
    await eventually(() => expect(world.scans).toBeGreaterThan(before));
    await eventually(() => expect(world.keys()).toContain('b.md'));
  });

  it('a link is no file, and tables of rows are listed', async () => {
    source = { ...source, config: { path: root, csv: { keyColumn: 'id' } } };
    world.start();
    await isWatched();
    await symlink('/etc/hostname', join(root, 'link.md'));
    await isWatched(2);
    await write('rows.csv', 'id,text\n1,a\n');
    await eventually(() => expect(world.scans).toBeGreaterThan(2));
    expect(world.changes).toEqual([]);
  });

  it('waits for a listing that runs, and for a store that is down, and then loses nothing', async () => {
    world.start();
    await isWatched();
    world.scanRuns = true;
    world.storeIsDown = true;
    await write('kept.md', 'kept');
    await rm(join(root, 'there.md'));
    await eventually(() => expect(world.warnings.length).toBeGreaterThan(0));
    expect(world.changes).toEqual([]);
    world.storeIsDown = false;
    await eventually(() => expect(world.keys()).toContain('kept.md'));
    expect(world.scans).toBe(1);
    world.scanRuns = false;
    await isWatched(2);
  });

  it('one process watches; another takes over when it goes, and lists what nobody saw', async () => {
    const first = world.start('prc_1');
    await isWatched();
    world.start('prc_2');
    await write('x.md', 'seen once');
    await eventually(() => expect(world.keys()).toEqual(expect.arrayContaining(['x.md'])));
    expect(world.holder?.owner).toBe('prc_1');
    await first.stop();
    await isWatched(2);
    expect(world.holder?.owner).toBe('prc_2');
    await write('y.md', 'seen by the second');
    await eventually(() => expect(world.keys()).toContain('y.md'));
  });

  it('a process that lost its lease stops acting', async () => {
    world.start('prc_1');
    await isWatched();
    world.holder = { owner: 'prc_other', epoch: 2n };
    const refusals = (count: number) =>
      eventually(() => expect(world.refusals).toBeGreaterThanOrEqual(count));
    await refusals(1);
    await write('z.md', 'not for the first');
    await refusals(world.refusals + 10);
    expect(world.changes).toEqual([]);
  });

  it('a source that is paused is not watched, and a folder that went does not stop the loop', async () => {
    const loop = world.start();
    await isWatched();
    world.state = 'PAUSED';
    await eventually(() => expect(world.holder).toBeUndefined());
    await rm(root, { recursive: true });
    world.state = 'ACTIVE';
    await eventually(() => expect(world.warnings).toContain('etl: a folder is not watched'));
    expect(loop.healthy()).toBe(true);
    await mkdir(root);
    await isWatched(2);
  });
});
