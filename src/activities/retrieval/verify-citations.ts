import { sha256Hex } from '../../domain/digest.js';
import type { SpanRead } from '../../domain/etl/ledger-reads.js';
import type { CitationVerdict, CitedSpan } from '../../domain/retrieval/contract.js';
import type { Reader } from '../../domain/retrieval/principals.js';
import type { RetrievalDeps } from './retrieval-deps.js';

/**
 * Unknown, hidden and foreign documents answer alike, so that verification says nothing about what may not be read.
 */
const verdictOfRefusal = {
  REVISION_ERASED: 'ERASED',
  REVISION_EXPIRED: 'SUPERSEDED',
  NOT_FOUND: 'MISMATCH',
} as const;

function verdictOf(
  cited: CitedSpan,
  span: SpanRead | undefined,
): { verdict: CitationVerdict; checked: boolean } {
  if (span === undefined || cited.end <= cited.start)
    return { verdict: 'MISMATCH', checked: false };
  if ('refused' in span) return { verdict: verdictOfRefusal[span.refused], checked: false };
  if (sha256Hex(span.text) !== cited.textSha256) return { verdict: 'MISMATCH', checked: true };
  return { verdict: span.current ? 'VALID' : 'SUPERSEDED', checked: true };
}

/** The verdict of each citation, in order. @throws STORE_UNAVAILABLE */
export async function verifyCitations(
  deps: RetrievalDeps,
  reader: Reader,
  citations: readonly CitedSpan[],
) {
  const { tenant, principals, purpose } = reader;
  const spans = citations.map(({ documentId: docId, revision: rev, start, end }) => ({
    ...{ docId, rev, start, end },
  }));
  const texts = await deps.reads.readSpans(tenant, { spans, principals, purpose });
  return citations.map((cited, at) => ({
    documentId: cited.documentId,
    revision: cited.revision,
    ...verdictOf(cited, texts[at]),
  }));
}
