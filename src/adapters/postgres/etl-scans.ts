import { PlatformError } from '../../domain/errors.js';
import type { Caller, Outcome, StartedFacts } from '../../domain/events/change.js';
import { etlWorkflowId, type SourceLimits } from '../../domain/etl/contract.js';
import {
  isPullKind,
  scanViewSchema,
  type DecideScan,
  type ScanDecision,
  type ScanView,
} from '../../domain/etl/collection-view.js';
import type { Database, SqlRow } from './database.js';
import { insertScan } from './etl-collections.js';
import { lockSource } from './etl-source-ends.js';
import { mutate } from './mutate.js';
import type { EtlScan } from './generated/client.js';

const scanView = (row: EtlScan): ScanView =>
  scanViewSchema.parse({
    ...row,
    id: row.scanId,
    counts: row.counts ?? undefined,
    reason: row.reason ?? undefined,
    decision: row.decision ?? undefined,
    workflowId: etlWorkflowId(row.tenantId, row.scanId),
    expiresAt: row.expiresAt?.toISOString(),
    createdAt: row.createdAt.toISOString(),
    endedAt: row.endedAt?.toISOString(),
  });

/** Starts a scan. @throws NOT_FOUND, SOURCE_CONFIG_INVALID for a push source, SOURCE_PAUSED, SCAN_RUNNING */
const startScan =
  (db: Database, limits?: SourceLimits) =>
  (caller: Caller, sourceId: string): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, async (tx) => {
      const source = await lockSource(tx, caller.tenant, sourceId);
      if (!isPullKind(source.kind))
        throw new PlatformError('SOURCE_CONFIG_INVALID', 'Nothing is listed by a push source.', {
          errors: [{ pointer: '/path/id', code: 'SOURCE_CONFIG_INVALID' }],
        });
      if (source.state === 'PAUSED')
        throw new PlatformError('SOURCE_PAUSED', 'The source is paused.', {
          extensions: { reason: source.stateReason },
        });
      const scan = await insertScan(tx, caller, { source, limits });
      if (scan === undefined) {
        const running = await tx.etlScan.findFirst({
          where: { tenantId: caller.tenant, sourceId, state: { in: ['RUNNING', 'WAITING'] } },
        });
        const why = running?.state === 'WAITING' ? 'waits for a decision' : 'is not over yet';
        throw new PlatformError('SCAN_RUNNING', `A scan of this source ${why}.`, {
          extensions: { running: running?.scanId, state: running?.state },
        });
      }
      return {
        status: 202,
        body: { id: scan.scanId, workflowId: scan.start.workflowId, status: 'RUNNING' },
        starts: [scan.start],
        audit: {
          action: 'etl.scan-requested',
          resource: { type: 'scan', id: scan.scanId },
          after: { sourceId },
        },
      };
    });

/** The refusal of a decision on a scan, by the database's clock. */
function refuseDecision(caller: Caller, row: EtlScan, isExpired: boolean): void {
  if (row.decision !== null)
    throw new PlatformError('ALREADY_DECIDED', 'This scan has been decided on.');
  if (row.state === 'DISCARDED' || (row.state === 'WAITING' && isExpired))
    throw new PlatformError('DECISION_EXPIRED', 'The time to decide is over.');
  if (row.state !== 'WAITING')
    throw new PlatformError('ILLEGAL_TRANSITION', `The scan is ${row.state}.`, {
      extensions: { from: row.state, to: 'APPLIED', allowed: [] },
    });
  if (row.requestedBy === caller.actor.subject)
    throw new PlatformError('SELF_APPROVAL', 'Whoever asked for a scan does not decide on it.');
}

/** Records what a person decides about a mass deletion, and makes the scan look at it. */
const decideScan =
  (db: Database) =>
  (caller: Caller, scanId: string, asked: DecideScan): Promise<Outcome<ScanDecision>> =>
    mutate(db, caller, async (tx) => {
      const { tenant, actor } = caller;
      const [clock] = await tx.$queryRaw<SqlRow[]>`
        select now() as now, coalesce(expires_at <= now(), false) as expired from etl_scan
        where tenant_id = ${tenant} and scan_id = ${scanId} for update`;
      const where = { tenantId_scanId: { tenantId: tenant, scanId } };
      const row = await tx.etlScan.findUnique({ where });
      if (row === null || clock === undefined)
        throw new PlatformError('NOT_FOUND', 'There is no such scan.');
      refuseDecision(caller, row, clock.expired === true);
      const decidedAt = (clock.now as Date).toISOString();
      const made = { ...asked, decidedBy: actor.subject, decidedAt };
      await tx.etlScan.update({ where, data: { decision: made } });
      return {
        status: 200,
        body: { scanId, ...made } as ScanDecision,
        wakes: [{ workflowId: etlWorkflowId(tenant, scanId), factId: scanId }],
        events: [
          {
            type: 'anneal.etl.scan_decided.v1',
            subject: `scans/${scanId}`,
            data: { scanId, sourceId: row.sourceId, decision: asked.decision },
          },
        ],
        audit: {
          action: 'etl.scan-decided',
          resource: { type: 'scan', id: scanId },
          before: { state: row.state, counts: row.counts },
          after: { decision: asked.decision },
          reason: asked.reason,
        },
      };
    });

/** Scans as the API starts, reads and decides on them (role anneal_api). */
export const createEtlScanStore = (db: Database, limits?: SourceLimits) => ({
  startScan: startScan(db, limits),
  decideScan: decideScan(db),
  findScan: (tenant: string, scanId: string): Promise<ScanView | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.etlScan.findUnique({
        where: { tenantId_scanId: { tenantId: tenant, scanId } },
      });
      return row === null ? undefined : scanView(row);
    }),
  /** Newest first; one more than `limit` where there are more. */
  listScans: (
    tenant: string,
    filter: { sourceId?: string | undefined; state?: string | undefined },
    page: { limit: number; after: string | undefined },
  ): Promise<ScanView[]> =>
    db.withTenant(tenant, async (tx) => {
      const { sourceId, state } = filter;
      const rows = await tx.etlScan.findMany({
        where: {
          tenantId: tenant,
          ...(sourceId === undefined ? {} : { sourceId }),
          ...(state === undefined ? {} : { state }),
          ...(page.after === undefined ? {} : { scanId: { lt: page.after } }),
        },
        orderBy: { scanId: 'desc' },
        take: page.limit + 1,
      });
      return rows.map(scanView);
    }),
});
