import { SYSTEM_TENANT } from '../../domain/access/contract.js';
import type { Caller } from '../../domain/events/change.js';
import type { FoundDivergence, Restored } from '../../domain/reconcile/contract.js';
import { CLOCK_SKEW_MS, judgeRun } from '../../domain/reconcile/judge-run.js';
import { isDerivedRun, tenantOfRun } from '../../domain/reconcile/run-id.js';
import type { ListedRun, ReconcileDeps, StandingWork } from './reconcile-deps.js';

/** Work this young may be between its commit and its start. */
const GRACE_MS = 10_000;
/** Open inferences that a pass of every minute looks at, the oldest first; after a restore all of them. */
const OPEN_INFERENCES = 10_000;
const ALL = 2_000_000_000;
/** Runs that are asked for at once, and rows that are written at once. */
const AT_ONCE = 16;
const PER_WRITE = 100;
const PER_READ = 1_000;

const REASON = 'reconcile: ';

/** A finding with the start that mends it, where there is one. */
interface Finding {
  found: FoundDivergence;
  start: StandingWork['start'] | undefined;
}

/** What Temporal knows, read before Postgres is: an intent is committed before its run exists. */
interface Seen {
  running: ListedRun[];
  closed: ListedRun[];
}

function chunksOf<T>(all: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let at = 0; at < all.length; at += size) chunks.push(all.slice(at, at + size));
  return chunks;
}

async function inChunks<T, R>(
  all: readonly T[],
  size: number,
  work: (one: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (const chunk of chunksOf(all, size)) results.push(...(await Promise.all(chunk.map(work))));
  return results;
}

/** Judges one run against its work. */
function compare(
  pair: { work: StandingWork | undefined; run: ListedRun | undefined },
  at: { restored: Restored | undefined; nowMs: number },
): Finding[] {
  const { work, run } = pair;
  const judged = judgeRun({
    work: work && { ...work, restartAsked: work.restartAskedOf.has(run?.runId ?? '') },
    run,
    ...at,
  });
  if (judged === undefined) return [];
  const workflowId = work?.start.workflowId ?? run?.workflowId ?? '';
  const workflowType = work?.start.workflowType ?? run?.workflowType ?? '';
  return [
    {
      found: { ...judged, workflowId, workflowType, runId: run?.runId ?? null },
      start: work?.start,
    },
  ];
}

async function readWorks(
  deps: ReconcileDeps,
  tenant: string,
  workflowIds: string[],
): Promise<Map<string, StandingWork>> {
  const works = new Map<string, StandingWork>();
  for (const ids of chunksOf(workflowIds, PER_READ))
    for (const work of await deps.workOf(tenant, ids)) works.set(work.start.workflowId, work);
  return works;
}

/** Runs whose tenant has an intent for them, or should have one. */
async function judgeSeen(
  deps: ReconcileDeps,
  group: { tenant: string; runs: ListedRun[]; isKnown: boolean },
  restored: Restored | undefined,
): Promise<Finding[]> {
  const { tenant, runs, isKnown } = group;
  const ids = isKnown ? runs.map(({ workflowId }) => workflowId) : [];
  const works = await readWorks(deps, tenant, ids);
  const asked = await inChunks(runs, AT_ONCE, async (run) => {
    const work = works.get(run.workflowId);
    const asks = restored !== undefined && work !== undefined && run.status === 'RUNNING';
    return { work, run: asks ? { ...run, progressedMs: await deps.progressedAt(run) } : run };
  });
  // Of work that is known, a run that ended is looked at from the side of the work.
  const findings = asked
    .filter(({ work, run }) => work === undefined || run.status === 'RUNNING')
    .flatMap((pair) => compare(pair, { restored, nowMs: deps.nowMs() }));
  const still = await inChunks(findings, AT_ONCE, async (finding) =>
    (await isStillTrue(deps, finding)) ? [finding] : [],
  );
  return still.flat();
}

/** The list is a moment behind: what is to be stopped is looked at itself. */
async function isStillTrue(deps: ReconcileDeps, { found }: Finding): Promise<boolean> {
  if (found.action !== 'STOPPED') return true;
  const run = await deps.describeRun(found.workflowId);
  return run?.runId === found.runId && run.status === 'RUNNING';
}

/** Open work that no run of the list carries. */
async function judgeOpen(
  deps: ReconcileDeps,
  group: { tenant: string; running: ReadonlySet<string> },
  restored: Restored | undefined,
): Promise<Finding[]> {
  const bound =
    restored === undefined
      ? { graceMs: GRACE_MS, inferences: OPEN_INFERENCES }
      : { graceMs: 0, inferences: ALL };
  const open = (await deps.openWork(group.tenant, bound)).filter(
    ({ start }) => !group.running.has(start.workflowId),
  );
  const described = await inChunks(open, AT_ONCE, async ({ start: { workflowId } }) => ({
    workflowId,
    run: await deps.describeRun(workflowId),
  }));
  // One that the list did not have yet has only begun. Of the others the work is read again: a run settles before it
  // ends, so what ended between the first look and this one is settled now.
  const ended = described.filter(({ run }) => run?.status !== 'RUNNING');
  const works = await readWorks(
    deps,
    group.tenant,
    ended.map(({ workflowId }) => workflowId),
  );
  return ended.flatMap(({ workflowId, run }) => {
    const work = works.get(workflowId);
    return work === undefined ? [] : compare({ work, run }, { restored, nowMs: deps.nowMs() });
  });
}

/** Runs that others started from rows which are gone or were set back: those who started them do so again. */
const judgeDerived = (runs: readonly ListedRun[], restored: Restored | undefined): Finding[] =>
  runs
    .filter((run) => restored !== undefined && isDerivedRun(run) && run.status === 'RUNNING')
    .map(({ workflowId, workflowType, runId }) => {
      const detail = 'stopped with the restore; what started it starts it again';
      const kind = 'RUN_AHEAD' as const;
      return {
        found: { kind, action: 'STOPPED', detail, workflowId, workflowType, runId },
        start: undefined,
      };
    });

const callerOf = (tenant: string): Caller => ({
  tenant,
  actor: { subject: 'system', kind: 'system', roles: [], via: 'reconciler' },
});

/** Writes what was found, then does it: a pass that dies between the two is followed by one that finds the same. */
async function settle(
  deps: ReconcileDeps,
  batch: { tenant: string; findings: Finding[] },
  restored: Restored | undefined,
): Promise<void> {
  const { tenant, findings } = batch;
  for (const chunk of chunksOf(findings, PER_WRITE)) {
    const fresh = await deps.recordDivergences(
      callerOf(tenant),
      chunk.map(({ found }) => found),
      restored?.restorationId,
    );
    for (const { kind, action, workflowId, detail } of fresh) {
      deps.found(kind, action);
      deps.log.warn({ tenant, kind, action, workflowId, detail }, 'reconcile: divergence');
    }
    await inChunks(chunk, AT_ONCE, async ({ found, start }) => {
      const { action, kind, workflowId, runId, detail } = found;
      if (action === 'STOPPED' && runId !== null)
        await deps.stopRun({ workflowId, runId }, `${REASON}${detail}`);
      if (action === 'RESTARTED' && start !== undefined)
        await deps.restartWorkflow(tenant, start, { replaceRunning: kind === 'RUN_AHEAD' });
    });
  }
}

async function look(deps: ReconcileDeps, restored: Restored | undefined): Promise<Seen> {
  const running = await deps.listRunning();
  const closed =
    restored === undefined
      ? []
      : await deps.listClosedAfter(restored.recoveredToMs - CLOCK_SKEW_MS);
  return { running, closed };
}

/**
 * Compares all runs with all work once and acts on what differs. Idempotent, and safe beside another pass.
 * @param restored the restore that this pass is about; undefined in the passes of every minute
 * @returns how many divergences there were, by kind
 */
export async function reconcileOnce(
  deps: ReconcileDeps,
  restored: Restored | undefined,
): Promise<Record<string, number>> {
  const seen = await look(deps, restored);
  const known = await deps.tenants();
  const byTenant = new Map<string, ListedRun[]>(known.map((tenant) => [tenant, []]));
  for (const run of [...seen.running, ...seen.closed]) {
    const tenant = tenantOfRun(run, deps.ownTypes);
    if (tenant === undefined) continue;
    byTenant.set(tenant, [...(byTenant.get(tenant) ?? []), run]);
  }
  const running = new Set(seen.running.map(({ workflowId }) => workflowId));
  const counts: Record<string, number> = {};
  const open: { kind: string; count: number }[] = [];
  for (const [tenant, runs] of byTenant) {
    const isKnown = known.includes(tenant);
    const findings = await judgeSeen(deps, { tenant, runs, isKnown }, restored);
    if (isKnown) findings.push(...(await judgeOpen(deps, { tenant, running }, restored)));
    // A tenant that a restore took away has no chain: what ran for it is written to that of the installation.
    await settle(deps, { tenant: isKnown ? tenant : SYSTEM_TENANT, findings }, restored);
    for (const { found } of findings) counts[found.kind] = (counts[found.kind] ?? 0) + 1;
  }
  const derived = judgeDerived(seen.running, restored);
  await settle(deps, { tenant: SYSTEM_TENANT, findings: derived }, restored);
  if (derived.length > 0) counts['RUN_AHEAD'] = (counts['RUN_AHEAD'] ?? 0) + derived.length;
  for (const tenant of new Set([...known, SYSTEM_TENANT]))
    open.push(...(await deps.countOpen(tenant)));
  deps.publishOpen(open);
  return counts;
}
