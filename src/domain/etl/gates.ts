import type { Chunk } from './document.js';

/** Where a document stopped, and what that means for the revision that was served until then. */
export interface QuarantineRule {
  stage: 'parse' | 'scrub' | 'gate' | 'chunk' | 'embed' | 'access';
  /** `content`: the previous revision keeps serving, marked stale. `access`: the document is hidden. */
  kind: 'content' | 'access';
  /** Whether a person may let the document through as it is. */
  releasable: boolean;
}

const content = (stage: QuarantineRule['stage'], releasable: boolean): QuarantineRule => ({
  stage,
  kind: 'content',
  releasable,
});
const access = (stage: QuarantineRule['stage'], releasable: boolean): QuarantineRule => ({
  stage,
  kind: 'access',
  releasable,
});

/** Every reason for which a document waits in quarantine. */
export const quarantineReasons = {
  no_text_layer: content('parse', false),
  encrypted: content('parse', false),
  parse_failed: content('parse', false),
  parse_limit: content('parse', false),
  empty_text: content('gate', true),
  mojibake: content('gate', true),
  too_many_chunks: content('chunk', false),
  chunk_count_jump: content('chunk', true),
  bad_vector: content('embed', false),
  poison: content('gate', true),
  residual_pii: access('scrub', true),
  acl_unresolved: access('access', false),
  consent_missing: access('access', false),
} as const satisfies Record<string, QuarantineRule>;
export type QuarantineReason = keyof typeof quarantineReasons;

/** Counts, offsets and names of limits; never text of the document. */
export type GateEvidence = Record<string, number | string>;

/** What a gate found. */
export interface GateFinding {
  reason: QuarantineReason;
  evidence: GateEvidence;
}

const MIN_CHARACTERS = 20;
const MAX_REPLACEMENT_SHARE = 0.01;
const MAX_C1_SHARE = 0.005;
const MAX_CHUNKS = 20_000;
const JUMP_FACTOR = 10;
const JUMP_ABOVE = 50;

/** Reasons that a person let these very bytes through for. */
export type Released = ReadonlySet<string>;
const nothing: ReadonlySet<string> = new Set();

/** Gate of the text of a revision: too short to say anything, or decoded with the wrong encoding. */
export function textGate(text: string, released: Released = nothing): GateFinding | undefined {
  const characters = text.trim().length;
  if (characters < MIN_CHARACTERS && !released.has('empty_text'))
    return { reason: 'empty_text', evidence: { characters } };
  if (released.has('mojibake')) return undefined;
  let replacements = 0;
  let c1Controls = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0xfffd) replacements++;
    else if (code >= 0x80 && code <= 0x9f) c1Controls++;
  }
  const isMojibake =
    replacements > text.length * MAX_REPLACEMENT_SHARE || c1Controls > text.length * MAX_C1_SHARE;
  return isMojibake
    ? { reason: 'mojibake', evidence: { replacements, c1Controls, characters: text.length } }
    : undefined;
}

/**
 * Gate of the chunks of a revision.
 * @param previous number of chunks of the revision that is live now, where there is one
 */
export function chunkGate(
  count: number,
  previous?: number,
  released: Released = nothing,
): GateFinding | undefined {
  if (count > MAX_CHUNKS)
    return { reason: 'too_many_chunks', evidence: { chunks: count, limit: MAX_CHUNKS } };
  if (previous === undefined || Math.max(count, previous) <= JUMP_ABOVE) return undefined;
  if (released.has('chunk_count_jump')) return undefined;
  const jumped = count >= previous * JUMP_FACTOR || previous >= count * JUMP_FACTOR;
  return jumped ? { reason: 'chunk_count_jump', evidence: { chunks: count, previous } } : undefined;
}

/**
 * Second pass over a sample of chunks: the first of `chunks` in which `hasPii` still finds a high-confidence hit.
 * @param isSampled chooses the sample (2 %) by the place of a chunk; deterministic for one revision
 */
export function residualPiiGate(
  chunks: readonly Pick<Chunk, 'start' | 'end' | 'embedText'>[],
  isSampled: (index: number) => boolean,
  hasPii: (text: string) => boolean,
): GateFinding | undefined {
  let sampled = 0;
  for (const [index, chunk] of chunks.entries()) {
    if (!isSampled(index)) continue;
    sampled++;
    if (hasPii(chunk.embedText))
      return {
        reason: 'residual_pii',
        evidence: { chunk: index, start: chunk.start, end: chunk.end, sampled },
      };
  }
  return undefined;
}

/** What a parser refuses a document for. */
export type ParseRefusalReason = Extract<
  QuarantineReason,
  'no_text_layer' | 'encrypted' | 'parse_failed' | 'parse_limit' | 'acl_unresolved'
>;
