import { assembleText } from '../../domain/etl/assemble-text.js';
import { chunkText, type TokenGuard } from '../../domain/etl/chunk-text.js';
import type { Chunk, ParsedDocument, RevisionText } from '../../domain/etl/document.js';
import { isReleasable } from '../../domain/etl/document-requests.js';
import {
  aclHash,
  chunkId,
  embedTextHash,
  metaHash,
  pipelineFp,
  textHash,
} from '../../domain/etl/fingerprints.js';
import { scriptMismatch, suspectInstruction } from '../../domain/etl/flags.js';
import {
  chunkGate,
  quarantineReasons,
  residualPiiGate,
  textGate,
  type GateFinding,
  type Released,
} from '../../domain/etl/gates.js';
import type { ClaimedDocument, PreparedRevision, SourceFacts } from '../../domain/etl/ledger.js';
import { chunkFpOf } from '../../domain/etl/pipeline-fps.js';
import { simhash } from '../../domain/etl/simhash.js';
import type { Scrubbed, Scrubber } from './etl-deps.js';
import type { FetchedDocument, Refusal } from './read-document.js';

/** One chunk in fifty has its second look; which one is fixed by its place. */
const RESIDUAL_SAMPLE = 50;

/** Who may read a document: what came with it, else what it declares, else the source's list. */
export const accessOf = (source: SourceFacts, claimed: ClaimedDocument, declared?: string[]) => {
  const acl = [...new Set(claimed.change.content?.acl ?? declared ?? source.acl)].sort();
  return { acl, aclHash: aclHash({ acl, deniedPurposes: [] }) };
};

/** Scrubs every piece of a document and keeps the sum of what was found. */
function scrubAll(scrubber: Scrubber) {
  const counts: Record<string, number> = {};
  const subjects = new Set<string>();
  const keep = (found: Scrubbed): string => {
    for (const [kind, count] of Object.entries(found.counts))
      counts[kind] = (counts[kind] ?? 0) + count;
    for (const subject of found.subjects) subjects.add(subject);
    return found.text;
  };
  return { scrub: (text: string) => keep(scrubber.scrub(text)), counts, subjects };
}

type Scrub = (text: string) => string;

/** Metadata goes where text goes: strings of it are scrubbed as well. */
function scrubValue(value: unknown, scrub: Scrub): unknown {
  if (typeof value === 'string') return scrub(value);
  if (Array.isArray(value)) return value.map((each) => scrubValue(each, scrub));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, scrubValue(each, scrub)]),
  );
}

const stop = ({ reason, evidence }: GateFinding): Refusal => {
  const { stage, kind } = quarantineReasons[reason];
  return { stage, reason, hides: kind === 'access', evidence };
};

function gatesOf(
  scrubber: Scrubber,
  document: {
    acl: string[];
    text: string;
    chunks: Chunk[];
    previous: number | undefined;
    released: Released;
  },
): GateFinding | undefined {
  const { acl, text, chunks, previous, released } = document;
  if (acl.length === 0) return { reason: 'acl_unresolved', evidence: {} };
  return (
    textGate(text, released) ??
    chunkGate(chunks.length, previous, released) ??
    residualPiiGate(
      chunks,
      (at) => at % RESIDUAL_SAMPLE === 0,
      (piece) => scrubber.hasResidual(piece),
    )
  );
}

/** Gates that a person opened for these bytes; a gate of access is never one of them. */
const releasedFor = ({ released }: ClaimedDocument, raw: string): Released =>
  new Set(
    released
      .filter(({ rawHash, reason }) => rawHash === raw && isReleasable(reason))
      .map(({ reason }) => reason),
  );

/** The chunks with their ids; equal ones differ by how often they came before. */
function identify(docId: string, chunks: readonly Chunk[]): PreparedRevision['chunks'] {
  const seen = new Map<string, number>();
  return chunks.map(({ start, end, embedText, headingPath, page }) => {
    const hash = embedTextHash(embedText);
    const occurrence = seen.get(hash) ?? 0;
    seen.set(hash, occurrence + 1);
    const id = chunkId(docId, hash, occurrence);
    return { chunkId: id, textHash: hash, start, end, page: page ?? 0, headingPath, embedText };
  });
}

function mentionsOf(scrubber: Scrubber, found: Set<string>, declared: readonly string[]) {
  const named = new Set(declared.map((subject) => scrubber.subjectToken(subject)));
  return [
    ...[...named].map((subjectHmac) => ({ subjectHmac, declared: true })),
    ...[...found]
      .filter((token) => !named.has(token))
      .map((subjectHmac) => ({ subjectHmac, declared: false })),
  ];
}

const flagsOf = (text: string) =>
  [suspectInstruction(text), scriptMismatch(text)].filter((flag) => flag !== undefined);

/**
 * Makes the next revision of a document: clean, scrub, gates, chunks, hashes. Pure but for the scrubber's key.
 * @returns why the document is stopped where a gate says so
 */
export function makeRevision(
  of: { source: SourceFacts; scrubber: Scrubber; tokens: TokenGuard },
  document: FetchedDocument,
  parsed: ParsedDocument,
): { revision: PreparedRevision } | { refusal: Refusal } {
  const { source, scrubber, tokens } = of;
  const { claimed } = document;
  const pushed = claimed.change.content;
  const { scrub, counts, subjects } = scrubAll(scrubber);
  const title = pushed?.title ?? parsed.title;
  const revised: RevisionText = assembleText({ title, blocks: parsed.blocks }, scrub);
  const { targetChars, maxChars } = source.pipeline.chunking;
  const chunks = chunkText(revised, { target: targetChars, max: maxChars, tokens });
  const access = accessOf(source, claimed, parsed.declared.acl);
  const previous = claimed.standing.manifests[0]?.rowIds.length;
  const released = releasedFor(claimed, document.raw);
  const gate = gatesOf(scrubber, { ...access, text: revised.text, chunks, previous, released });
  if (gate) return { refusal: { ...stop(gate), rawHash: document.raw } };
  const declared = pushed?.subjects ?? parsed.declared.subjects ?? [];
  const { docId, fence, change } = claimed;
  const metadata = scrubValue({ ...parsed.metadata, ...pushed?.metadata }, scrub) as Record<
    string,
    unknown
  >;
  const chunkPrint = chunkFpOf(source.pipeline, tokens);
  return {
    revision: {
      docId,
      fence,
      seq: change.seq,
      sourceToken: document.token,
      rawHash: document.raw,
      textHash: textHash(revised),
      metaHash: metaHash(metadata),
      ...access,
      parseFp: document.parse,
      chunkFp: chunkPrint,
      pipelineFp: pipelineFp(document.parse, chunkPrint),
      mediaType: document.mediaType,
      title: revised.title,
      metadata,
      subjects: [...declared],
      text: revised.text,
      blocks: revised.blocks,
      rawRef: source.retainRaw ? change.contentRef : undefined,
      simhash: simhash(revised.text),
      mentions: mentionsOf(scrubber, subjects, declared),
      findings: { pii: counts, flags: [...(parsed.flags ?? []), ...flagsOf(revised.text)] },
      chunks: identify(docId, chunks),
    },
  };
}
