import { z } from 'zod';

/** What `GET /v1/documents` says of a document, as far as the outcome needs it. */
export const documentSchema = z.looseObject({
  id: z.string(),
  key: z.string(),
  sourceId: z.string(),
  state: z.string(),
  revision: z.int().optional(),
  hiddenReason: z.string().optional(),
  deletedAt: z.string().optional(),
  updatedAt: z.string(),
});
export type DocumentFacts = z.infer<typeof documentSchema>;

/** What `GET /v1/documents/{id}` adds. */
export const documentDetailSchema = z.looseObject({
  revisions: z.array(
    z.looseObject({
      revision: z.int(),
      createdAt: z.string(),
      findings: z.unknown().optional(),
      supersededAt: z.string().optional(),
    }),
  ),
  lineage: z.array(z.looseObject({ state: z.string() })).default([]),
  whyNotIndexed: z.looseObject({ reason: z.string(), evidence: z.unknown() }).optional(),
});
export type DocumentDetail = z.infer<typeof documentDetailSchema>;

export const fileOutcomes = [
  'new',
  'changed',
  'unchanged',
  'deleted',
  'waiting',
  'hidden',
  'quarantined',
  'discarded',
] as const;
export type FileOutcome = (typeof fileOutcomes)[number];

/** How one file of a source came out. */
export interface FileReport {
  key: string;
  documentId: string;
  sourceId: string;
  outcome: FileOutcome;
  /** The revision that answers questions now. */
  revision?: number | undefined;
  reason?: string | undefined;
  evidence?: unknown;
  /** What was left out of it, in words. */
  note?: string | undefined;
}

const findingsSchema = z.looseObject({
  flags: z.array(z.looseObject({ flag: z.string(), evidence: z.unknown() })),
});
const raggedSchema = z.looseObject({ rows: z.int(), lines: z.string() });

/** Rows of a table that are not searched: nobody sees it in the answers. */
function noteOf(findings: unknown): string | undefined {
  const flags = findingsSchema.safeParse(findings).data?.flags ?? [];
  const ragged = flags.find(({ flag }) => flag === 'ragged_rows');
  const { data } = raggedSchema.safeParse(ragged?.evidence);
  if (data === undefined) return undefined;
  const named = data.lines.split(', ');
  const more = named.length < data.rows ? ', …' : '';
  const rows = data.rows === 1 ? '1 row' : `${data.rows} rows`;
  return `${rows} left out, with other cells than the header: line ${data.lines}${more}`;
}

const isSince = (time: string | undefined, sinceMs: number): boolean =>
  time !== undefined && Date.parse(time) >= sinceMs;

/** True where more than the summary is needed to tell how a document came out. */
export const needsDetail = (document: DocumentFacts, sinceMs: number): boolean =>
  document.state === 'INDEXED'
    ? isSince(document.updatedAt, sinceMs)
    : document.state !== 'DELETED';

function indexedOutcome(
  { revision }: DocumentFacts,
  detail: DocumentDetail | undefined,
  sinceMs: number,
): FileOutcome {
  // Touched since then, and no more is known of it.
  if (detail === undefined) return revision === 1 ? 'new' : 'changed';
  const live = detail.revisions.find((one) => one.revision === revision);
  if (!isSince(live?.createdAt, sinceMs)) return 'unchanged';
  const isFirst = detail.revisions.every(({ supersededAt }) => supersededAt === undefined);
  return isFirst ? 'new' : 'changed';
}

/**
 * How a document came out since a moment (ms since 1970, by the server's clock); undefined where it was gone before.
 * @param detail of a document that {@link needsDetail}
 */
export function fileOutcome(
  document: DocumentFacts,
  detail: DocumentDetail | undefined,
  sinceMs: number,
): FileReport | undefined {
  const { id: documentId, key, sourceId, state, revision, hiddenReason } = document;
  const report = { key, documentId, sourceId, revision };
  if (state === 'DELETED')
    return isSince(document.deletedAt, sinceMs) ? { ...report, outcome: 'deleted' } : undefined;
  if (state === 'INDEXED') {
    const isTouched = needsDetail(document, sinceMs);
    const live = detail?.revisions.find((one) => one.revision === revision);
    return {
      ...report,
      outcome: isTouched ? indexedOutcome(document, detail, sinceMs) : 'unchanged',
      note: noteOf(live?.findings),
    };
  }
  const held = detail?.whyNotIndexed;
  if (held !== undefined) {
    const { reason, evidence } = held;
    return { ...report, outcome: 'quarantined', reason, evidence };
  }
  if (state === 'HIDDEN') return { ...report, outcome: 'hidden', reason: hiddenReason };
  // Every change to it was given up by a steward: nothing is to come.
  const lineage = detail?.lineage ?? [];
  if (lineage.length > 0 && lineage.every((change) => change.state === 'SUPERSEDED'))
    return { ...report, outcome: 'discarded' };
  return state === 'STALE'
    ? { ...report, outcome: 'quarantined', reason: undefined }
    : { ...report, outcome: 'waiting' };
}
