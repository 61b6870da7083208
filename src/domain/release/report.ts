import type { ReleaseCheck, ReleasePlan, ReleaseState, Target } from './contract.js';
import type { Pointers } from './routing.js';

/** One line of a release's story. */
export interface ReportStep {
  seq: number;
  state: ReleaseState;
  /** Epoch that this step made, if it moved the pointer. */
  epoch: number | null;
  reason: string;
  actor: string;
  checks: ReleaseCheck[];
  /** ISO 8601, UTC. */
  at: string;
}

/** The final report of a release; its digest is final too. */
export interface ReleaseReport {
  format: 'anneal.release.v1';
  releaseId: string;
  target: Target;
  version: number;
  approvalId: string | null;
  plan: ReleasePlan;
  planDigest: string;
  outcome: ReleaseState;
  cause: string | null;
  laggards: string[];
  shadow: { shadowId: string; state: string; verdict: unknown } | null;
  /** Each epoch that the release made, with what it routed. */
  epochs: (Pointers & { epoch: number; move: string; at: string })[];
  steps: ReportStep[];
}
