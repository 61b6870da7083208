import { setTimeout as sleep } from 'node:timers/promises';
import { DefaultLogger } from '@temporalio/worker';
import { defaultActivityInfo, MockActivityEnvironment } from '@temporalio/testing';
import { parseText } from '../../src/adapters/parsing/parse-text.js';
import { newId } from '../../src/adapters/postgres/new-id.js';
import { createEtlActivities, type EtlDeps } from '../../src/activities/etl/index.js';
import { assembleText } from '../../src/domain/etl/assemble-text.js';
import { chunkText } from '../../src/domain/etl/chunk-text.js';
import { defaultBatchLimits, defaultScanLimits } from '../../src/domain/etl/contract.js';
import type { Parser } from '../../src/domain/etl/parser.js';
import type { PullSource } from '../../src/domain/etl/scan.js';
import { errorTable, PlatformError } from '../../src/domain/errors.js';
import type { Documents, SourceDocument, SourceState } from './corpus.js';
import { Crash, type Engine, type HeldChunk } from './engine.js';

/** What differs between the engine alone and the durable one: where ledger and rows are. */
export interface OurWorld {
  tenant: string;
  sourceId: string;
  deps: EtlDeps;
  /** Starts a scan of the source, as its schedule does. */
  beginScan: () => Promise<string>;
  setChunking: (chars: number) => Promise<void>;
  /** A generation of the other embedder, beside the live one. */
  beginGeneration: (version: SourceState['embedder']) => Promise<string>;
  claimLagging: (generationId: string, batchId: string) => Promise<number>;
  lagging: (generationId: string) => Promise<number>;
  flip: (generationId: string) => Promise<void>;
  held: () => Promise<HeldChunk[]>;
  /** As after the end of the process. */
  restart: () => Promise<void>;
  close: () => Promise<void>;
}

/** Failures are part of what is measured; the table says what became of them. */
const logger = new DefaultLogger('ERROR');

/** Batches at once: the window of a source's watcher. */
const WINDOW = 4;
const MAX_TRIES = 20;
const BACKFILL_ROUNDS = 5;
/** Chunks are no longer than their target, as with the other sides. */
export const chunkingOf = (chars: number) => ({ targetChars: chars, maxChars: chars });

/** A document as a source sends it: who may read it stands in its first line, as in front matter. */
const bytesOf = ({ acl, text }: SourceDocument): Buffer => Buffer.from(`${acl.join(' ')}\n${text}`);

/** The source in memory: what it lists and what it answers for one document. */
export function memorySource(documents: () => Documents): PullSource {
  return {
    list: async (_source, { cursor, maxEntries }) => {
      const from = Number(cursor ?? 0);
      const all = [...documents().values()];
      const page = all.slice(from, from + maxEntries);
      const next = from + page.length;
      return {
        entries: page.map(({ key, token, text }) => ({
          naturalKey: key,
          token,
          bytes: text.length,
        })),
        cursor: next < all.length ? String(next) : undefined,
        complete: true,
      };
    },
    read: async (_source, key) => {
      const document = documents().get(key);
      if (document === undefined) return undefined;
      const { token } = document;
      return { name: key, token, bytes: bytesOf(document), mediaType: 'text/plain' };
    },
  };
}

/** The other sides are given text: so is this one, unless the run is to parse in child processes. */
export const textParser: Pick<Parser, 'parse'> = {
  parse: async (documents) =>
    documents.map(({ id, content }) => {
      const sent = 'bytes' in content ? Buffer.from(content.bytes).toString('utf8') : '';
      const at = sent.indexOf('\n');
      const head = { mediaType: 'text/plain', parser: 'text@1', title: '', metadata: {} };
      const declared = { acl: sent.slice(0, at).split(' ') };
      return { id, result: { ...head, declared, blocks: parseText(sent.slice(at + 1)).blocks } };
    }),
};

/** A policy that finds nothing: the other sides look for nothing either. */
export const noScrubber: EtlDeps['scrubber'] = async () => ({
  policyVersion: 'none',
  keyId: 'none',
  scrub: (text) => ({ text, counts: {}, subjects: [] }),
  hasResidual: () => false,
  subjectToken: (subject) => subject,
});

/** What the chunker makes of a state. */
function wantedOf(state: SourceState): HeldChunk[] {
  const chunks: HeldChunk[] = [];
  const sizes = { target: state.chunkChars, max: state.chunkChars };
  for (const { key, text, acl } of state.documents.values()) {
    const { blocks } = parseText(text);
    const revision = assembleText({ title: '', blocks }, (piece) => piece);
    for (const { embedText } of chunkText(revision, sizes))
      chunks.push({
        document: key,
        text: embedText,
        acl: [...acl].sort().join(','),
        embedder: state.embedder,
      });
  }
  return chunks;
}

/** A step as a worker runs it: in an activity context, again after a failure that may pass. */
export async function step<I, R>(work: (input: I) => Promise<R>, input: I): Promise<R> {
  for (let tries = 1; ; tries++)
    try {
      const context = new MockActivityEnvironment(
        { ...defaultActivityInfo, heartbeatTimeoutMs: 30_000 },
        { logger },
      );
      return await context.run(work, input);
    } catch (error) {
      if (error instanceof Crash || !(error instanceof PlatformError)) throw error;
      if (!errorTable[error.code].retryable || tries === MAX_TRIES) throw error;
      await sleep(Number(error.extensions.retryAfterMs ?? 1_000));
    }
}

/** Applies what is due in batches, as many at once as a watcher keeps. */
async function drain({ tenant, sourceId, deps }: OurWorld): Promise<void> {
  const activities = createEtlActivities(deps);
  const { maxDocuments, maxBytes } = defaultBatchLimits;
  const lane = async (): Promise<void> => {
    for (;;) {
      const batchId = newId('batch');
      const batch = { tenant, sourceId, batchId };
      const claim = { maxDocuments, maxBytes, lingerMs: 0 };
      const { claimed } = await step(activities.prepareBatch, { ...batch, claim });
      if (claimed === 0) return;
      await step(activities.embedAndWriteBatch, batch);
    }
  };
  await settled(Array.from({ length: WINDOW }, lane));
}

/** Waits for all, then fails with the first failure: a crash ends every lane before the next run begins. */
async function settled(lanes: Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(lanes)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

async function scan(world: OurWorld): Promise<void> {
  const { tenant, sourceId, deps } = world;
  const { listSourcePage, applyScan } = createEtlActivities(deps);
  const scanId = await world.beginScan();
  const { pageEntries: maxEntries, pageBytes: maxBytes } = defaultScanLimits;
  const page = { tenant, scanId, sourceId, maxEntries, maxBytes };
  let cursor: string | undefined;
  do ({ cursor } = await step(listSourcePage, { ...page, cursor }));
  while (cursor !== undefined);
  const { guardMinDeletes: minDeletes, decisionMs } = defaultScanLimits;
  await step(applyScan, { tenant, scanId, minDeletes, decisionMs });
}

async function reembed(world: OurWorld, version: SourceState['embedder']): Promise<void> {
  const { tenant, sourceId, deps } = world;
  const { embedAndWriteBatch } = createEtlActivities(deps);
  const generationId = await world.beginGeneration(version);
  const lane = async (): Promise<void> => {
    for (;;) {
      const batchId = newId('batch');
      if ((await world.claimLagging(generationId, batchId)) === 0) return;
      await step(embedAndWriteBatch, { tenant, sourceId, batchId });
    }
  };
  for (let round = 0; round < BACKFILL_ROUNDS; round++) {
    await settled([lane(), lane()]);
    // What one lane held while the other looked is left to the next round.
    if ((await world.lagging(generationId)) === 0) break;
  }
  await world.flip(generationId);
}

/** Our side over a world: the activities of the workers in the order in which the workflows call them. */
export function createOurEngine(world: OurWorld, show: (documents: Documents) => void): Engine {
  return {
    sync: async (state, change) => {
      show(state.documents);
      if (change === 'embedder') return reembed(world, state.embedder);
      if (change === 'chunking') await world.setChunking(state.chunkChars);
      await scan(world);
      return drain(world);
    },
    held: world.held,
    wanted: async (state) => wantedOf(state),
    restart: world.restart,
    close: world.close,
  };
}
