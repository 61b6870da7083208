import type { Caller, Outcome, StartedFacts } from '../../domain/events/change.js';
import type {
  CreateKill,
  ReleaseCommandName,
  ReleasePlan,
  Target,
} from '../../domain/release/contract.js';
import type {
  KillDetail,
  KillView,
  ReleaseSummary,
  ReleaseView,
  RoutingEntry,
  ShadowView,
} from '../../domain/release/view.js';
import type { Page } from '../paging.js';
import type { Links } from '../started.js';

/** What the endpoints of `release` ask for. */
export interface ReleaseRouteDeps {
  createRelease: (
    caller: Caller,
    request: {
      target: Target;
      version: number;
      approvalId: string;
      plan: ReleasePlan;
      supersede: boolean;
      reason: string;
      maxHistoryEvents: number;
    },
  ) => Promise<Outcome<StartedFacts>>;
  createRollback: (
    caller: Caller,
    request: {
      target: Target;
      toVersion: number | undefined;
      epoch: number;
      reason: string;
      incidentId: string | undefined;
      maxHistoryEvents: number;
    },
  ) => Promise<Outcome<StartedFacts>>;
  orderRelease: (
    caller: Caller,
    order: { releaseId: string; env: string; command: ReleaseCommandName; reason: string },
  ) => Promise<Outcome<StartedFacts>>;
  findRelease: (
    tenant: string,
    key: { env: string; releaseId: string },
  ) => Promise<ReleaseView | undefined>;
  listReleases: (
    tenant: string,
    filter: { env: string; model?: string | undefined; state?: string | undefined },
    page: Page,
  ) => Promise<ReleaseSummary[]>;
  findShadow: (
    tenant: string,
    key: { env: string; shadowId: string },
  ) => Promise<ShadowView | undefined>;
  /** The epoch in force at `at`, or now. */
  findRoutingAt: (
    tenant: string,
    target: Target,
    at: Date | undefined,
  ) => Promise<RoutingEntry | undefined>;
  listRouting: (
    tenant: string,
    target: Target,
    page: { limit: number; before: number | undefined },
  ) => Promise<RoutingEntry[]>;
  createKill: (caller: Caller, request: CreateKill & { env: string }) => Promise<Outcome<KillView>>;
  requestLift: (
    caller: Caller,
    request: { env: string; killId: string; reason: string },
  ) => Promise<Outcome<KillView>>;
  confirmLift: (
    caller: Caller,
    request: { env: string; killId: string; reason: string },
  ) => Promise<Outcome<KillView>>;
  findKill: (
    tenant: string,
    key: { env: string; killId: string },
  ) => Promise<KillDetail | undefined>;
  listKills: (
    tenant: string,
    filter: { env: string; state?: string | undefined },
    page: Page,
  ) => Promise<KillView[]>;
  links: Links;
  /** History length at which a release continues as new (1,500). */
  maxHistoryEvents: number;
}
