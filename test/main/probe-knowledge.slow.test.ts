import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProbes, type ProbeReport } from '../../src/cli/doctor.js';
import { loadConfig } from '../../src/config.js';
import { knowledgeProbes, parserProbe } from '../../src/main/probe-knowledge.js';
import { startEmbeddingProvider } from '../support/servers/embedding-provider.js';

let stateDir: string;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'anneal-doctor-'));
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));

/** The reports of the named probes of an installation with these variables. */
async function examine(
  env: Record<string, string>,
  ...names: string[]
): Promise<Partial<ProbeReport>[]> {
  const config = loadConfig({ ANNEAL_STATE_DIR: stateDir, ...env });
  const probes = knowledgeProbes(config).filter(({ name }) => names.includes(name));
  expect(probes.map(({ name }) => name)).toEqual(names);
  return runProbes(probes, { nowMs: () => performance.now() });
}

const says = (text: string) => expect.stringContaining(text) as string;

describe('anneal doctor, about documents', () => {
  it('looks at what is configured, and at nothing else', () => {
    const named = (env: Record<string, string>) =>
      knowledgeProbes(loadConfig({ ANNEAL_STATE_DIR: stateDir, ...env })).map(({ name }) => name);
    const always = ['Source folders', 'Parser', 'Embedder hash-384', 'Vector store lancedb'];
    expect(named({})).toEqual(always);
    expect(
      named({
        ...{ ANNEAL_EMBEDDING_URL: 'http://127.0.0.1:9/v1', ANNEAL_EMBEDDING_MODEL: 'm' },
        ...{ ANNEAL_EMBEDDING_DIMS: '384', ANNEAL_MILVUS_ADDRESS: '127.0.0.1:9' },
        ANNEAL_PGVECTOR_URL: 'postgresql://a@127.0.0.1:9/b',
      }),
    ).toEqual([
      ...['Source folders', 'Parser', 'Embedder hash-384', 'Embedder openai'],
      ...['Vector store lancedb', 'Vector store pgvector', 'Vector store milvus'],
    ]);
  });

  it('tries parser, embedder and store as a worker does, and leaves nothing behind', async () => {
    const names = ['Parser', 'Embedder hash-384', 'Vector store lancedb'];
    expect(await examine({}, ...names)).toMatchObject([
      { ok: true, detail: says('remark-parse') },
      { ok: true, detail: 'a text became 384 dimensions' },
      { ok: true, detail: 'a row was written, read back and removed' },
    ]);
    const left = await readdir(join(stateDir, 'vectors'), { recursive: true });
    expect(left.filter((path) => path.includes('doctor'))).toEqual([]);
  });

  it('names each source folder that cannot be listed', async () => {
    const [there, missing, file] = ['docs', 'gone', 'note.md'].map((name) => join(stateDir, name));
    await mkdir(there ?? '');
    await writeFile(file ?? '', 'no folder');
    expect(await examine({ ANNEAL_SOURCE_FOLDERS: there ?? '' }, 'Source folders')).toMatchObject([
      { ok: true, detail: there },
    ]);
    const all = [there, missing, file].join(',');
    const [report] = await examine({ ANNEAL_SOURCE_FOLDERS: all }, 'Source folders');
    expect(report).toMatchObject({
      ok: false,
      detail: `${missing} is not there\n${file} is no folder`,
      fix: says('ANNEAL_SOURCE_FOLDERS'),
    });
  });

  it('says of a store that does not take a row why, and which setting is meant', async () => {
    await writeFile(join(stateDir, 'vectors'), 'a file where the folder should be');
    const env = {
      ANNEAL_PGVECTOR_URL: 'postgresql://nobody@127.0.0.1:9/none',
      ANNEAL_MILVUS_ADDRESS: '127.0.0.1:9',
    };
    const stores = ['lancedb', 'pgvector', 'milvus'].map((name) => `Vector store ${name}`);
    expect(await examine(env, ...stores)).toMatchObject([
      { ok: false, detail: says(join(stateDir, 'vectors')), fix: says('chmod') },
      { ok: false, detail: says('ECONNREFUSED'), fix: says('ANNEAL_PGVECTOR_URL') },
      { ok: false, fix: says('ANNEAL_MILVUS_ADDRESS') },
    ]);
  });

  it('embeds one text with the configured service, and says what is wrong with it', async () => {
    const key = join(stateDir, 'key');
    await writeFile(key, 'secret\n');
    const ledgerFile = join(stateDir, 'ledger');
    const provider = await startEmbeddingProvider({ ledgerFile, apiKey: 'secret' });
    const env = {
      ...{ ANNEAL_EMBEDDING_URL: provider.baseUrl, ANNEAL_EMBEDDING_MODEL: 'hash' },
      ...{ ANNEAL_EMBEDDING_DIMS: '384', ANNEAL_EMBEDDING_KEY_FILE: key },
    };
    const openai = async (more: Record<string, string> = {}) =>
      (await examine({ ...env, ...more }, 'Embedder openai'))[0];
    try {
      expect(await openai()).toMatchObject({ ok: true, detail: 'a text became 384 dimensions' });
      expect(provider.calls()).toBe(1);
      expect(await openai({ ANNEAL_EMBEDDING_DIMS: '100' })).toMatchObject({
        ok: false,
        fix: says('ANNEAL_EMBEDDING_DIMS'),
      });
      await writeFile(key, 'another');
      expect(await openai()).toMatchObject({ ok: false, fix: says('ANNEAL_EMBEDDING_KEY_FILE') });
      await rm(key);
      expect(await openai()).toMatchObject({ ok: false, detail: says(key) });
    } finally {
      await provider.close();
    }
    await writeFile(key, 'secret');
    expect(await openai()).toMatchObject({ ok: false, fix: says(provider.baseUrl) });
  });

  it('says that the child of the parser does not start', async () => {
    const broken = new URL(`file://${join(stateDir, 'broken.child')}`);
    const [report] = await runProbes([parserProbe(broken)], { nowMs: () => performance.now() });
    expect(report).toMatchObject({ ok: false, detail: says('parse'), fix: says('npm ci') });
  });
});
