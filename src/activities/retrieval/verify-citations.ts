import { sha256Hex } from '../../domain/digest.js';
import { PlatformError, type ErrorCode } from '../../domain/errors.js';
import type { CitationVerdict, CitedSpan } from '../../domain/retrieval/contract.js';
import type { Reader } from '../../domain/retrieval/principals.js';
import type { RetrievalDeps } from './retrieval-deps.js';

/** Spans that are read at the same time: a share of the pool, not all of it. */
const AT_ONCE = 8;

/** Maps with at most {@link AT_ONCE} under way, results in order. */
export async function mapAtOnce<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += AT_ONCE)
    results.push(...(await Promise.all(items.slice(from, from + AT_ONCE).map(work))));
  return results;
}

/**
 * Unknown, hidden and foreign documents answer alike, so that verification says nothing about what may not be read.
 */
const verdictOfRefusal: ReadonlyMap<ErrorCode, CitationVerdict> = new Map([
  ['REVISION_ERASED', 'ERASED'],
  ['REVISION_EXPIRED', 'SUPERSEDED'],
  ['NOT_FOUND', 'MISMATCH'],
]);

async function verdictOf(
  deps: RetrievalDeps,
  reader: Reader,
  cited: CitedSpan,
): Promise<{ verdict: CitationVerdict; checked: boolean }> {
  const { documentId: docId, revision: rev, start, end } = cited;
  if (end <= start) return { verdict: 'MISMATCH', checked: false };
  const { tenant, principals, purpose } = reader;
  try {
    const span = await deps.reads.spanText(tenant, { docId, rev, start, end, principals, purpose });
    if (sha256Hex(span.text) !== cited.textSha256) return { verdict: 'MISMATCH', checked: true };
    return { verdict: span.current ? 'VALID' : 'SUPERSEDED', checked: true };
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    const verdict = verdictOfRefusal.get(error.code);
    if (verdict === undefined) throw error;
    return { verdict, checked: false };
  }
}

/** The verdict of each citation, in order. @throws STORE_UNAVAILABLE */
export const verifyCitations = async (
  deps: RetrievalDeps,
  reader: Reader,
  citations: readonly CitedSpan[],
) =>
  mapAtOnce(citations, async (cited) => ({
    documentId: cited.documentId,
    revision: cited.revision,
    ...(await verdictOf(deps, reader, cited)),
  }));
