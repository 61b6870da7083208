import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createLsaFitter } from '../adapters/local-embedder/create-lsa-fitter.js';
import { startChild } from '../adapters/processes/start-child.js';
import type { ReembedDeps } from '../activities/etl/index.js';
import { childEnv } from '../config.js';
import { PlatformError } from '../domain/errors.js';
import { embedFp, localIdentity } from '../domain/etl/embed-fp.js';
import { lsaDims } from '../domain/etl/lsa.js';
import type { Parts } from './dependencies.js';

/** The same for every fit: equal texts give equal artifacts. */
const SEED = 1;
const BUFFERED_CHARACTERS = 1_000_000;

/** Writes texts as lines of JSON, readable by this account alone. */
async function spool(path: string, texts: AsyncIterable<string>, signal: AbortSignal) {
  const file = await open(path, 'wx', 0o600);
  try {
    let lines = '';
    for await (const text of texts) {
      signal.throwIfAborted();
      lines += `${JSON.stringify(text)}\n`;
      if (lines.length < BUFFERED_CHARACTERS) continue;
      await file.writeFile(lines);
      lines = '';
    }
    await file.writeFile(lines);
  } finally {
    await file.close();
  }
}

/** Fits `lsa` in a child process; its artifact goes to the artifact store of the tenant. */
export const createFit =
  ({ config, artifacts }: Pick<Parts, 'config' | 'artifacts'>): ReembedDeps['fit'] =>
  async ({ tenant, embedder, texts }, signal) => {
    if (embedder !== 'lsa')
      throw new PlatformError('EMBEDDER_UNKNOWN', 'This embedder is not fitted on documents.');
    const fit = createLsaFitter((entry, data) => startChild(entry, { data, env: childEnv() }));
    const root = join(config.stateDir, 'fits');
    await mkdir(root, { recursive: true, mode: 0o700 });
    const folder = await mkdtemp(join(root, 'fit-'));
    try {
      const job = {
        textsFile: join(folder, 'texts.jsonl'),
        artifactFile: join(folder, 'artifact'),
        seed: SEED,
      };
      await spool(job.textsFile, texts, signal);
      const fitted = await fit(job, signal);
      const body = createReadStream(job.artifactFile);
      const stored = await artifacts.put({ tenantId: tenant, body, signal });
      const identity = localIdentity({
        id: 'lsa',
        dims: lsaDims,
        artifactDigest: fitted.digest,
      });
      return {
        artifactRef: stored.ref,
        artifactDigest: fitted.digest,
        embedFp: embedFp(identity),
        texts: fitted.texts,
        terms: fitted.terms,
        bytes: fitted.bytes,
      };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
