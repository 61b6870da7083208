import { PlatformError } from '../../domain/errors.js';
import { detectType } from '../../domain/etl/detect-type.js';
import { parseFp, rawHash, type Fingerprint } from '../../domain/etl/fingerprints.js';
import type { GateEvidence } from '../../domain/etl/gates.js';
import type { ClaimedDocument, SourceFacts } from '../../domain/etl/ledger.js';
import type { MediaType } from '../../domain/etl/media-types.js';
import type { EtlDeps, Scrubber } from './etl-deps.js';

/** Why a document goes into quarantine. */
export interface Refusal {
  stage: string;
  reason: string;
  hides: boolean;
  evidence: GateEvidence;
  /** Of the bytes that were stopped, where they were read. */
  rawHash?: string | undefined;
}

/** A document with its bytes and the fingerprints of the way before it. */
export interface FetchedDocument {
  claimed: ClaimedDocument;
  name: string;
  token: string;
  bytes: Uint8Array;
  raw: Fingerprint;
  mediaType: MediaType;
  parse: Fingerprint;
}

/** What reading one document came to. GONE proves nothing: a scan or an event does. */
export type Fetched =
  | { kind: 'READ'; document: FetchedDocument }
  | { kind: 'GONE' }
  | { kind: 'REFUSED'; refusal: Refusal };

const refused = (reason: string, evidence: GateEvidence): Fetched => ({
  kind: 'REFUSED',
  refusal: { stage: 'parse', reason, hides: false, evidence },
});

async function bytesOf(
  deps: EtlDeps,
  { source, signal }: { source: SourceFacts; signal: AbortSignal },
  claimed: ClaimedDocument,
): Promise<
  { name: string; token: string; bytes: Uint8Array; mediaType?: string | undefined } | undefined
> {
  const { change, naturalKey } = claimed;
  if (change.contentRef !== undefined) {
    const bytes = await deps.readArtifact(change.contentRef);
    const { name = naturalKey, mediaType } = change.content ?? {};
    return { name, token: change.sourceVersion, bytes, mediaType };
  }
  const reader = deps.pullSource(source.kind);
  if (reader === undefined) return undefined;
  return reader.read(source, naturalKey, signal);
}

/**
 * Reads one document by the kind of its source, and says what its bytes are.
 * @throws SOURCE_UNAVAILABLE, SOURCE_CONFIG_INVALID; what concerns this document alone is answered as REFUSED
 */
export async function readDocument(
  deps: EtlDeps,
  of: { source: SourceFacts; scrubber: Scrubber; signal: AbortSignal },
  claimed: ClaimedDocument,
): Promise<Fetched> {
  let read: Awaited<ReturnType<typeof bytesOf>>;
  try {
    read = await bytesOf(deps, of, claimed);
  } catch (error) {
    const code = error instanceof PlatformError ? error.code : undefined;
    const { reason, evidence } = error instanceof PlatformError ? error.extensions : {};
    if (code === 'DOCUMENT_REFUSED' && typeof reason === 'string')
      return refused(reason, evidence as GateEvidence);
    if (code === 'DOCUMENT_REFUSED' || code === 'PAYLOAD_TOO_LARGE')
      return refused('parse_limit', { detail: code.toLowerCase() });
    if (code === 'ARTIFACT_CORRUPT') return refused('parse_failed', { detail: 'artifact_corrupt' });
    throw error;
  }
  if (read === undefined) return { kind: 'GONE' };
  const { name, token, bytes } = read;
  const type = detectType(bytes.subarray(0, 4096), name, read.mediaType);
  if ('refused' in type) return refused(type.refused.reason, type.refused.evidence);
  const { mediaType } = type;
  const document = {
    claimed,
    name,
    token,
    bytes,
    raw: rawHash(bytes),
    mediaType,
    parse: parseFp(mediaType, of.scrubber),
  };
  return { kind: 'READ', document };
}
