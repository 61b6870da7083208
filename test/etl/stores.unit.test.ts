import { loadConfig } from '../../src/config.js';
import { createStores } from '../../src/main/stores.js';

test('an installation offers the stores it is configured for, each with the one that answers its words', async () => {
  const embedded = createStores(loadConfig());
  expect(embedded.findSink('lancedb')).toMatchObject({ lexicalSink: 'lancedb' });
  expect(embedded.findSink('pgvector')).toBeUndefined();
  const all = createStores(
    loadConfig({
      ANNEAL_PGVECTOR_URL: 'postgresql://nobody@127.0.0.1:9/none',
      ANNEAL_MILVUS_ADDRESS: '127.0.0.1:9',
    }),
  );
  expect(all.findSink('pgvector')).toMatchObject({ lexicalSink: 'lancedb', maxDims: 4_000 });
  expect(all.findSink('milvus')).toMatchObject({ lexicalSink: 'milvus' });
  await embedded.close();
  await all.close();
});
