import type { Caller } from '../../domain/events/change.js';
import type { StartRequest } from '../../domain/events/contract.js';
import type {
  DivergenceAction,
  DivergenceKind,
  FoundDivergence,
} from '../../domain/reconcile/contract.js';
import type { RunFacts, WorkFacts } from '../../domain/reconcile/judge-run.js';

/** A run as Temporal lists it. */
export interface ListedRun extends RunFacts {
  workflowId: string;
  workflowType: string;
}

/** Work as Postgres has it, with the start that would begin it again. */
export interface StandingWork extends Omit<WorkFacts, 'restartAsked'> {
  start: StartRequest;
  /** Runs of it that a person asked to start again. */
  restartAskedOf: ReadonlySet<string>;
}

/** What the reconciler asks for: how both stores stand, and the ways to act. */
export interface ReconcileDeps {
  tenants: () => Promise<string[]>;
  /** Workflow types of this build; runs of any other type are none of ours. */
  ownTypes: ReadonlySet<string>;
  openWork: (
    tenant: string,
    bound: { graceMs: number; inferences: number },
  ) => Promise<StandingWork[]>;
  workOf: (tenant: string, workflowIds: string[]) => Promise<StandingWork[]>;
  /** Writes findings with an audit entry each, before anything is done; answers those that were not listed yet. */
  recordDivergences: (
    caller: Caller,
    found: FoundDivergence[],
    restorationId: string | undefined,
  ) => Promise<FoundDivergence[]>;
  countOpen: (tenant: string) => Promise<{ kind: string; count: number }[]>;
  listRunning: () => Promise<ListedRun[]>;
  listClosedAfter: (atMs: number) => Promise<ListedRun[]>;
  describeRun: (workflowId: string) => Promise<ListedRun | undefined>;
  progressedAt: (run: { workflowId: string; runId: string }) => Promise<number | null>;
  stopRun: (run: { workflowId: string; runId: string }, reason: string) => Promise<void>;
  restartWorkflow: (
    tenant: string,
    start: StartRequest,
    how: { replaceRunning: boolean },
  ) => Promise<void>;
  nowMs: () => number;
  /** Shows one divergence that was not listed before. */
  found: (kind: DivergenceKind, action: DivergenceAction) => void;
  /** Shows how many wait for a person. */
  publishOpen: (open: { kind: string; count: number }[]) => void;
  log: { warn: (facts: object, message: string) => void };
}
