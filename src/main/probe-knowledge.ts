import { join } from 'node:path';
import type { Probe, ProbeResult } from '../cli/doctor.js';
import type { Config } from '../config.js';
import type * as Checks from './check-knowledge.js';

// Probes of what documents pass on their way to an answer: folders, parser, embedders, vector stores.

/** A store or a service may be far away, and a child has to start. */
const PATIENCE_MS = 30_000;

/** Runs a check. It is loaded here, because no other command has to wait for the libraries of stores and parsers. */
async function result(work: (checks: typeof Checks) => Promise<string>): Promise<ProbeResult> {
  const checks = await import('./check-knowledge.js');
  try {
    return { ok: true, detail: await work(checks) };
  } catch (error) {
    return { ok: false, detail: checks.reasonOf(error) };
  }
}

/** Folders that sources may lie in can be listed. */
const foldersProbe = ({ etl }: Config): Probe => ({
  name: 'Source folders',
  fix: `mkdir -p and chmod u+rx the folder, or take it out of ANNEAL_SOURCE_FOLDERS`,
  check: () => result(({ checkFolders }) => checkFolders(etl.sourceFolders)),
});

/** The child that parses documents starts and parses one. */
export const parserProbe = (entry?: URL): Probe => ({
  name: 'Parser',
  fix: 'npm ci   # brings the parsers; a child needs 512 MiB and a folder for temporary files',
  timeoutMs: PATIENCE_MS,
  check: (signal) => result(({ checkParser }) => checkParser(signal, entry)),
});

const embedderProbe = (config: Config, of: { name: string; fix: string }): Probe => ({
  name: `Embedder ${of.name}`,
  fix: of.fix,
  timeoutMs: PATIENCE_MS,
  check: (signal) => result(({ checkEmbedder }) => checkEmbedder(config, of.name, signal)),
});

const storeProbe = (config: Config, of: { name: string; fix: string }): Probe => ({
  name: `Vector store ${of.name}`,
  fix: of.fix,
  timeoutMs: PATIENCE_MS,
  check: () => result(({ checkStore }) => checkStore(config, of.name)),
});

function embedderProbes(config: Config): Probe[] {
  const { embedding } = config.etl;
  const own = embedderProbe(config, { name: 'hash-384', fix: 'npm ci' });
  if (embedding === undefined) return [own];
  const parts = ['URL', 'MODEL', 'DIMS', 'KEY_FILE'].map((part) => `ANNEAL_EMBEDDING_${part}`);
  const fix = `start the service at ${embedding.url}, or correct ${parts.join(', ')}`;
  return [own, embedderProbe(config, { name: 'openai', fix })];
}

function storeProbes(config: Config): Probe[] {
  const { pgvectorUrl, milvus } = config.etl.stores;
  const folder = join(config.stateDir, 'vectors');
  const writable = `chmod u+rwx ${folder}   # and free space on its disk`;
  const probes = [storeProbe(config, { name: 'lancedb', fix: writable })];
  if (pgvectorUrl !== undefined) {
    const fix =
      'start that Postgres with pgvector 0.8.4 or newer (create extension vector), or correct ANNEAL_PGVECTOR_URL';
    probes.push(storeProbe(config, { name: 'pgvector', fix }));
  }
  if (milvus !== undefined) {
    const fix = `start Milvus at ${milvus.address}, or correct ANNEAL_MILVUS_ADDRESS and ANNEAL_MILVUS_TOKEN_FILE`;
    probes.push(storeProbe(config, { name: 'milvus', fix }));
  }
  return probes;
}

/** What documents pass on their way to an answer, in that order. */
export const knowledgeProbes = (config: Config): Probe[] => [
  foldersProbe(config),
  parserProbe(),
  ...embedderProbes(config),
  ...storeProbes(config),
];
