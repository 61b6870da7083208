import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { withCompanion } from '../../src/activities/etl/with-companion.js';
import { createLanceStore } from '../../src/adapters/lancedb/create-lance-store.js';
import { createPgVectorStore } from '../../src/adapters/pgvector/create-pg-vector-store.js';
import { childEnv, loadConfig } from '../../src/config.js';
import { accessFilter } from '../../src/domain/etl/vector-sink.js';
import { describeWithServer } from '../support/servers/describe-with-server.js';
import { countHeldBytes, startPgvector } from '../support/servers/pgvector.js';
import { describeSinkConformance } from './sink-conformance.js';
import { rowOf, rowsOf } from './sink-rows.js';

const started = await startPgvector({
  cacheDir: loadConfig().cacheDir,
  env: childEnv(),
});

const filesUnder = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

async function bytesOfTables(url: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ bytes: string }>(
    `select sum(pg_total_relation_size(c.oid)) as bytes from pg_class c
     join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'anneal_vector'
     and c.relkind = 'r'`,
  );
  await client.end();
  return Number(rows[0]?.bytes ?? 0);
}

describeWithServer(started, 'a real Postgres with pgvector', (server) => {
  const { url } = server;
  afterAll(() => server.stop(), 60_000);
  const joined = withCompanion(
    createPgVectorStore({ url }),
    createLanceStore({ folder: '/unused' }),
  );

  describeSinkConformance('pgvector with a LanceDB companion', {
    caps: joined.caps,
    // Smaller than for the embedded store: HNSW costs Postgres about 2 ms a row.
    scale: { writerRounds: 5, filterRows: 2_000, recallRows: 5_200, churnRows: 300 },
    start: async () => {
      const folder = await mkdtemp(join(tmpdir(), 'anneal-companion-'));
      return {
        open: (limits) =>
          withCompanion(
            createPgVectorStore({ url, limits }),
            createLanceStore({ folder, limits, keepVersionsMs: 0 }),
          ),
        diskBytes: async () => {
          let bytes = await bytesOfTables(url);
          for (const path of await filesUnder(folder)) bytes += (await stat(path)).size;
          return bytes;
        },
        countHeld: async (needles) => {
          for (const path of await filesUnder(folder)) {
            const bytes = await readFile(path);
            expect(needles.filter((needle) => bytes.includes(needle))).toEqual([]);
          }
          return countHeldBytes(server, needles);
        },
        stop: () => rm(folder, { recursive: true, force: true }),
      };
    },
  });

  describe('pgvector alone', () => {
    const tenant = 'ten_a';
    const filter = accessFilter({ tenant, principals: ['public'] });

    it('leaves every key once after four writers of equal keys that no lease keeps apart', async () => {
      const stores = [1, 2, 3, 4].map(() => createPgVectorStore({ url }));
      const generation = { tenant, generationId: 'many', embedFp: 'f', dims: 384 };
      await Promise.all(stores.map((store) => store.ensureGeneration(generation)));
      const adds = rowsOf(0, 250);
      await Promise.all(
        stores.map(async (store) => {
          for (let round = 0; round < 4; round += 1)
            await store.sink(generation).replaceRows({ adds, deleteIds: [] });
        }),
      );
      const [first] = stores;
      expect((await first?.sink(generation).stats())?.rows).toBe(250);
      await Promise.all(stores.map((store) => store.close()));
    });

    it('refuses words, and takes 3,000 dimensions in half precision', async () => {
      const store = createPgVectorStore({ url });
      const generation = { tenant, generationId: 'wide', embedFp: 'w', dims: 3_000 };
      await store.ensureGeneration(generation);
      const sink = store.sink(generation);
      const adds = [1, 2, 3].map((at) => {
        const vector = new Float32Array(3_000);
        vector[at] = 0.5;
        vector[2_999] = 0.25;
        return rowOf(`wide-${at}`, { vector });
      });
      await sink.replaceRows({ adds, deleteIds: [] });
      const leg = { vector: adds[1]?.vector ?? new Float32Array() };
      const [best] = await sink.search({ leg, k: 3, filter });
      expect(best?.docId).toBe('doc-wide-2');
      expect(best?.score).toBeCloseTo(1, 3);
      await expect(sink.search({ leg: { text: 'a' }, k: 1, filter })).rejects.toMatchObject({
        code: 'SINK_REFUSED',
      });
      await store.close();
    });
  });
});
