import { z } from 'zod';
import { listSources, type SourceFacts } from './list-sources.js';
import type { Session } from './open-session.js';

const countsSchema = z.looseObject({
  upserts: z.int().default(0),
  deletes: z.int().default(0),
  withheld: z.int().default(0),
});
const scanSchema = z.looseObject({
  id: z.string(),
  state: z.string(),
  reason: z.string().optional(),
  counts: countsSchema.optional().catch(undefined),
  createdAt: z.string(),
});
type ScanFacts = z.infer<typeof scanSchema>;

/** How a source stands. */
export interface SourceStanding {
  source: SourceFacts;
  /** Newest first. */
  scans: ScanFacts[];
  /** True while more is to come without anybody's help. */
  isBusy: boolean;
  /** What only a person can set right. */
  trouble: string | undefined;
}

/** What proposed commands need behind them. */
interface AsOptions {
  operate: string;
  approve: string;
}

function troubleOf(
  { name, id, state, stateReason }: SourceFacts,
  last: ScanFacts | undefined,
  as: AsOptions,
) {
  if (state === 'PAUSED' || state === 'FAILED')
    return `${name} is ${state}: ${stateReason ?? 'no reason given'}. Go on: anneal sources resume ${id}${as.operate}`;
  if (last?.state === 'WAITING')
    return `${name}: a scan would delete ${last.counts?.withheld ?? 'many'} documents and waits for a decision: anneal scans decide ${last.id}${as.approve}`;
  if (last?.state === 'FAILED')
    return `${name}: the last scan failed: ${last.reason ?? 'no reason given'}`;
  return undefined;
}

async function standingOf(session: Session, source: SourceFacts): Promise<SourceStanding> {
  const page = await session.get(`/v1/scans?sourceId=${source.id}&limit=50`);
  const { items: scans } = z.object({ items: z.array(scanSchema) }).parse(page);
  const [last] = scans;
  const { pending, claimed } = source.backlog;
  const isStill = source.state === 'PAUSED' || source.state === 'FAILED';
  return {
    source,
    scans,
    isBusy: !isStill && (pending + claimed > 0 || last?.state === 'RUNNING'),
    trouble: troubleOf(source, last, {
      operate: await session.asFor('etl:write'),
      approve: await session.asFor('etl:approve'),
    }),
  };
}

/** How all sources of a collection stand. @throws RefusedError, UnreachableError */
export const readStanding = async (
  session: Session,
  collectionId: string,
): Promise<SourceStanding[]> =>
  Promise.all(
    (await listSources(session, collectionId)).map((source) => standingOf(session, source)),
  );

/** Changes that were pushed this long before the newest one still count as its neighbours. */
const PUSHED_TOGETHER_MS = 600_000;

/**
 * Since when a source's files count as new: since the scan that runs or the last one that found something; where nothing
 * is scanned, ten minutes before the newest change. Milliseconds since 1970, by the server's clock.
 */
export function sinceMsOf(
  { scans }: Pick<SourceStanding, 'scans'>,
  updatedAt: readonly string[],
): number {
  const [last] = scans;
  if (last === undefined)
    return Math.max(0, ...updatedAt.map((time) => Date.parse(time))) - PUSHED_TOGETHER_MS;
  const telling =
    last.state === 'RUNNING'
      ? last
      : scans.find(({ counts }) => (counts?.upserts ?? 0) + (counts?.deletes ?? 0) > 0);
  return Date.parse((telling ?? last).createdAt);
}
