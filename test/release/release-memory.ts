import type { ReleaseDeps } from '../../src/activities/release/index.js';
import type { ReleasePlan, ReleaseProgress } from '../../src/domain/release/contract.js';
import type { ReleaseMove, ReleaseRecord } from '../../src/domain/release/record.js';
import {
  nothingLive,
  promoted,
  restored,
  shadowed,
  type Pointers,
  type RoutingDocument,
} from '../../src/domain/release/routing.js';
import type { ShadowCounts } from '../../src/domain/release/shadow-verdict.js';

/**
 * One release and one pointer in memory, by the clock of a time-skipping server: the database's clock does not skip.
 * It keeps the rule of the store that a move names the step it follows.
 */
export class ReleaseMemory {
  readonly states: { state: string; atMs: number }[] = [];
  live: Pointers = { ...nothingLive, active: 1 };
  epoch = 1;
  ticks = 0;
  counts: Omit<ShadowCounts, 'elapsedMs'> = { pairs: 0, errors: 0, slow: 0, disagreements: 0 };
  /** Labelled decisions by now: how many, and how many the version got right. */
  labels: (nowMs: number) => { n: number; correct: number } = () => ({ n: 0, correct: 0 });
  readonly #plan: ReleasePlan;
  readonly #nowMs: () => Promise<number>;
  #progress: ReleaseProgress;
  #earlier: Pointers | undefined;
  #shadowSinceMs = 0;

  constructor(plan: ReleasePlan, nowMs: () => Promise<number>) {
    this.#plan = plan;
    this.#nowMs = nowMs;
    this.#progress = {
      state: 'PREFLIGHT',
      seq: 1,
      sinceMs: 0,
      nowMs: 0,
      waitingOn: 'nothing',
      reason: 'asked',
      queuedBehind: null,
      pausedFrom: null,
      pauseReason: null,
      pauseDeadlineMs: null,
      frozenUntilMs: null,
      shadowId: null,
      movedEpoch: null,
      promoted: false,
      restoredEpoch: null,
      propagatedMs: null,
      labelsSinceMs: null,
      cause: null,
      laggards: [],
      checks: [],
    };
  }

  async #record(): Promise<ReleaseRecord> {
    const nowMs = await this.#nowMs();
    return {
      tenant: 't',
      releaseId: 'rel',
      env: 'prod',
      kind: 'model',
      name: 'credit',
      version: 2,
      strategy: this.#plan.strategy,
      approvalId: 'apr',
      plan: this.#plan,
      planDigest: 'sha256:0',
      requestedBy: 'prn',
      progress: { ...this.#progress, nowMs },
      earlier: this.#earlier ?? null,
    };
  }

  async #step(move: Omit<ReleaseMove, 'reason'> & { reason?: string }, pointers?: Pointers) {
    const nowMs = await this.#nowMs();
    if (move.expectedSeq !== this.#progress.seq) return { ...this.#progress, nowMs };
    const { machine, patch = {}, checks = [], waitingOn = 'nothing' } = move;
    if (pointers !== undefined) {
      this.#earlier ??= this.live;
      this.live = pointers;
      this.epoch += 1;
    }
    this.#progress = {
      ...this.#progress,
      ...(patch as Partial<ReleaseProgress>),
      state: machine.state,
      pausedFrom: machine.pausedFrom,
      pauseReason: machine.pauseReason,
      cause: machine.cause,
      seq: move.expectedSeq + 1,
      sinceMs: nowMs,
      waitingOn,
      reason: move.reason ?? this.#progress.reason,
      checks,
      ...(pointers === undefined ? {} : { movedEpoch: this.epoch }),
    };
    this.states.push({ state: machine.state, atMs: nowMs });
    return { ...this.#progress, nowMs };
  }

  #routing(): RoutingDocument {
    return {
      ...this.live,
      env: 'prod',
      kind: 'model',
      name: 'credit',
      epoch: this.epoch,
      kills: [],
      minEpoch: 1,
      releaseId: null,
      salt: '',
    };
  }

  deps(): ReleaseDeps {
    return { ...this.#moves(), ...this.#reads() };
  }

  #moves() {
    return {
      loadRelease: () => this.#record(),
      advanceRelease: (_caller: unknown, move: ReleaseMove) => this.#step(move),
      finishRelease: (_caller: unknown, move: ReleaseMove) => this.#step(move),
      noteRelease: async (_tenant: string, note: { patch: object }) => {
        this.#progress = { ...this.#progress, ...note.patch };
        return (await this.#record()).progress;
      },
      nextOrder: () => Promise.resolve(undefined),
      ignoreOrder: () => Promise.resolve(),
      beginShadow: async (_caller: unknown, move: Omit<ReleaseMove, 'reason'>) => {
        this.#shadowSinceMs = await this.#nowMs();
        const capture = { shadowId: 'shd', version: 2, sampleRateBp: 10_000 };
        const patched = { ...move, patch: { shadowId: 'shd' } };
        const progress = await this.#step(patched, shadowed(this.live, capture));
        return { moved: true as const, progress };
      },
      endShadow: (_caller: unknown, move: ReleaseMove) => this.#step(move),
      promoteVersion: async (_caller: unknown, move: Omit<ReleaseMove, 'reason'>) => {
        const patched = { ...move, patch: { promoted: true } };
        const progress = await this.#step(patched, promoted(this.live, 2));
        return { moved: true as const, progress };
      },
      restoreRouting: (_caller: unknown, move: Omit<ReleaseMove, 'reason'>) => {
        const back = this.#earlier === undefined ? this.live : this.#earlier;
        const patched = { ...move, patch: { restoredEpoch: this.epoch + 1 } };
        return this.#step(patched, restored(this.live, back, 2));
      },
    };
  }

  #reads() {
    return {
      readPointer: () => Promise.resolve({ routing: this.#routing(), kills: [] }),
      preflightFacts: () =>
        Promise.resolve({
          assurance: 'APPROVED',
          artifactRef: 'ref',
          artifactDigest: 'sha256:0',
          contract: null,
          activeContract: null,
          approval: { contractBreak: false, requestedAtMs: 0 },
          barredAtMs: null,
          wasActive: false,
        }),
      leases: () =>
        Promise.resolve([
          {
            processId: 'prc_1',
            role: 'inference' as const,
            epoch: this.epoch,
            ready: [1, 2],
            failures: {},
            ageMs: 10,
          },
        ]),
      liveCounts: () => Promise.resolve({ n: 1_000, errors: 0 }),
      shadowCounts: async () => {
        this.ticks += 1;
        return { ...this.counts, elapsedMs: (await this.#nowMs()) - this.#shadowSinceMs };
      },
      labelledDecisions: async () => {
        this.ticks += 1;
        const { n } = this.labels(await this.#nowMs());
        return Array.from({ length: n }, (_, i) => ({ decisionId: String(i), label: 'good' }));
      },
      referenceAccuracy: () => Promise.resolve(0.9),
      verifyApproval: () => Promise.resolve({ ok: true as const, nonces: [], approvers: [] }),
      artifactMatches: () => Promise.resolve(true),
      predictedLabels: async (_tenant: string, ids: string[]) => {
        const { correct } = this.labels(await this.#nowMs());
        return Object.fromEntries(ids.map((id, i) => [id, i < correct ? 'good' : 'bad']));
      },
    };
  }
}
