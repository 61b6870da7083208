import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MilvusClient } from '@zilliz/milvus2-sdk-node';
import { createMilvusStore } from '../../src/adapters/milvus/create-milvus-store.js';
import { childEnv, loadConfig } from '../../src/config.js';
import { accessFilter } from '../../src/domain/etl/vector-sink.js';
import { describeWithServer } from '../support/servers/describe-with-server.js';
import { freePort } from '../support/servers/free-port.js';
import { countHeldVectors, startMilvus } from '../support/servers/milvus.js';
import { describeSinkConformance } from './sink-conformance.js';
import { rowOf, rowsOf } from './sink-rows.js';
import { hitIds, idsIn, idsOf } from './sink-world.js';

const started = await startMilvus({ cacheDir: loadConfig().cacheDir, env: childEnv() });

async function bytesUnder(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  return bytes;
}

describeWithServer(started, 'a real Milvus server', (server) => {
  const { address } = server;
  afterAll(() => server.stop(), 60_000);

  describeSinkConformance('Milvus', {
    caps: createMilvusStore({ address }).caps,
    // Smaller than for the embedded store: the server is written in Python, and a search in it takes 100 ms and more.
    scale: {
      writerRounds: 2,
      filterRows: 2_000,
      recallRows: 500,
      recallQueries: 20,
      churnRows: 300,
    },
    start: () =>
      Promise.resolve({
        open: (limits) => createMilvusStore({ address, limits }),
        diskBytes: () => bytesUnder(server.dataDir),
        countHeld: (needles) => countHeldVectors(server, needles),
        stop: () => Promise.resolve(),
      }),
  });

  describe('Milvus alone', () => {
    const tenant = 'ten_a';
    const filter = accessFilter({ tenant, principals: ['public'] });
    const store = createMilvusStore({ address });
    let client: MilvusClient;
    const collections = async () => (await client.listCollections()).data.map(({ name }) => name);
    beforeAll(() => {
      client = new MilvusClient({ address, logLevel: 'error', telemetry: { enabled: false } });
    });
    afterAll(async () => {
      await store.close();
      await client.closeConnection();
    });

    it('finds words by their stems, best first, and reads what the server has out of memory', async () => {
      const generation = { tenant, generationId: 'words', embedFp: 'f', dims: 384 };
      const before = await collections();
      await store.ensureGeneration(generation);
      const sink = store.sink(generation);
      const adds = [
        rowOf('short', { text: 'Keys rotate.' }),
        rowOf('long', { text: 'A key among very many other words that say nothing of turning.' }),
        rowOf('other', { text: 'Nothing of it.' }),
      ];
      await sink.replaceRows({ adds, deleteIds: [] });
      const [name = ''] = (await collections()).filter((one) => !before.includes(one));
      await client.releaseCollection({ collection_name: name });
      const hits = await sink.search({ leg: { text: 'the rotating of keys' }, k: 5, filter });
      expect(hits.map(({ docId }) => docId)).toEqual(['doc-short', 'doc-long']);
      expect((hits[0]?.score ?? 0) > (hits[1]?.score ?? 0)).toBe(true);
      expect(hits[1]?.score).toBeGreaterThan(0);
      await store.dropGeneration(generation);
      expect(await collections()).toEqual(before);
    });

    it('goes on reading while another client erases, and keeps what is written afterwards', async () => {
      const generation = { tenant, generationId: 'readers', embedFp: 'f', dims: 384 };
      const writer = createMilvusStore({ address });
      await writer.ensureGeneration(generation);
      const sink = writer.sink(generation);
      await sink.replaceRows({ adds: rowsOf(0, 60), deleteIds: [], epoch: 1n });
      let writing = true;
      const reading = (async () => {
        let answers = 0;
        while (writing) {
          const leg = answers % 2 === 0 ? { vector: rowOf(1).vector } : { text: rowOf(1).text };
          const hits = await store.sink(generation).search({ leg, k: 1, filter });
          expect(hits[0]?.docId).toBe('doc-1');
          answers += 1;
        }
        return answers;
      })();
      await sink.physicallyErase(idsOf(rowsOf(10, 20)), 2n);
      await sink.replaceRows({ adds: rowsOf(60, 65), deleteIds: [], epoch: 2n });
      writing = false;
      expect(await reading).toBeGreaterThan(2);
      expect(await idsIn(store.sink(generation))).toEqual(
        idsOf([...rowsOf(0, 10), ...rowsOf(20, 65)]),
      );
      // The lease's epoch came along.
      const late = store.sink(generation).replaceRows({ adds: [], deleteIds: ['a'], epoch: 1n });
      await expect(late).rejects.toMatchObject({ code: 'SINK_FENCED' });
      await writer.close();
    });

    it('refuses tenants and texts that it cannot hold, and names no row that it cannot have', async () => {
      const generation = { tenant, generationId: 'refusals', embedFp: 'f', dims: 384 };
      await store.ensureGeneration(generation);
      const sink = store.sink(generation);
      const refused = { code: 'SINK_REFUSED' };
      const quoted = { ...generation, tenant: 'ten" or pk != "' };
      await expect(store.ensureGeneration(quoted)).rejects.toMatchObject(refused);
      const row = rowOf('long');
      for (const bad of [
        { ...row, text: 'x'.repeat(65_536) },
        { ...row, text: 'half \ud83d of a pair' },
        { ...row, acl: Array.from({ length: 4_097 }, (_, at) => `user:${at}`) },
        { ...row, rowId: '" or pk != "' },
      ])
        await expect(sink.replaceRows({ adds: [bad], deleteIds: [] })).rejects.toMatchObject(
          refused,
        );
      await sink.replaceRows({ adds: [row], deleteIds: ['" or pk != "'] });
      expect(await sink.fetch(['" or pk != "'])).toEqual([]);
      const leg = { vector: row.vector };
      expect(hitIds(await sink.search({ leg, k: 3, filter }))).toEqual([row.rowId]);
    });

    it('says that the store is unavailable where nobody listens, and asks again next time', async () => {
      const absent = createMilvusStore({
        address: `127.0.0.1:${await freePort()}`,
        timeoutMs: 2_000,
      });
      const generation = { tenant, generationId: 'absent', embedFp: 'f', dims: 384 };
      const unavailable = { code: 'SINK_UNAVAILABLE' };
      await expect(absent.ensureGeneration(generation)).rejects.toMatchObject(unavailable);
      await expect(absent.sink(generation).stats()).rejects.toMatchObject(unavailable);
      await absent.close();
    });
  });
});
