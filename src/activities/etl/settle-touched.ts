import { PlatformError } from '../../domain/errors.js';
import { rawHash } from '../../domain/etl/fingerprints.js';
import type { SourceFacts } from '../../domain/etl/ledger.js';
import { pipelineFps } from '../../domain/etl/pipeline-fps.js';
import type { ListedDocument, PullSource } from '../../domain/etl/scan.js';
import type { EtlDeps } from './etl-deps.js';

/** Files that are read for a page before it is kept; larger ones, and what is above the sum, become changes. */
const MAX_FILE_BYTES = 1024 * 1024;
const MAX_PAGE_BYTES = 64 * 1024 * 1024;
const READS = 8;

type Read = { naturalKey: string; token: string; rawHash: string };

/** Bytes and token of one file as they are now; undefined where the long way has to look at it. */
async function readOne(
  of: { reader: PullSource; source: SourceFacts; signal: AbortSignal },
  naturalKey: string,
): Promise<Read | undefined> {
  try {
    const read = await of.reader.read(of.source, naturalKey, of.signal);
    return read && { naturalKey, token: read.token, rawHash: rawHash(read.bytes) };
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'DOCUMENT_REFUSED') return undefined;
    throw error;
  }
}

/** Listed documents whose token is another one, as far as they are small enough to be read here. */
async function touchedOf(
  deps: Pick<EtlDeps, 'ledger'>,
  of: { tenant: string; source: SourceFacts },
  listed: readonly ListedDocument[],
): Promise<string[]> {
  const small = listed.filter(({ bytes }) => bytes !== undefined && bytes <= MAX_FILE_BYTES);
  if (small.length === 0) return [];
  const sizes = new Map(small.map(({ naturalKey, bytes = 0 }) => [naturalKey, bytes]));
  const touched = await deps.ledger.findTouched(of.tenant, of.source.sourceId, small);
  let sum = 0;
  return touched.filter((key) => (sum += sizes.get(key) ?? 0) <= MAX_PAGE_BYTES);
}

/**
 * Rung 2 of the change ladder for a page of a listing: files that were touched and say what they said get their token, and
 * never become changes. Nothing else is decided here.
 * @throws SOURCE_UNAVAILABLE, STORE_UNAVAILABLE
 */
export async function settleTouched(
  deps: Pick<EtlDeps, 'ledger' | 'scrubber' | 'chunkTokens'>,
  of: { tenant: string; source: SourceFacts; reader: PullSource; signal: AbortSignal },
  listed: readonly ListedDocument[],
): Promise<void> {
  const { tenant, source, signal } = of;
  const touched = await touchedOf(deps, of, listed);
  if (touched.length === 0) return;
  const reads: Read[] = [];
  for (let at = 0; at < touched.length; at += READS) {
    signal.throwIfAborted();
    const some = touched.slice(at, at + READS);
    const found = await Promise.all(some.map((key) => readOne(of, key)));
    reads.push(...found.filter((read) => read !== undefined));
  }
  const scrubber = await deps.scrubber(tenant, source.pipeline.piiPolicy);
  const fps = pipelineFps(source.pipeline, scrubber, deps.chunkTokens);
  const to = { sourceId: source.sourceId, pipelineFps: fps };
  await deps.ledger.settleSameBytes(tenant, to, reads);
}
