import type { Arm } from './assignment.js';
import type { killModes, ReleaseStrategy, Target } from './contract.js';

/** A kill switch that is on for a target. */
export interface KillInForce {
  killId: string;
  scope: 'tenant' | 'model' | 'version';
  mode: (typeof killModes)[number];
  /** Set for scope `version` alone. */
  version: number | null;
}

/** A version that sees sampled traffic without answering it. */
export interface ShadowCapture {
  shadowId: string;
  version: number;
  sampleRateBp: number;
}

/** What serves a target at one epoch: the routing row. */
export interface RoutingDocument extends Target {
  epoch: number;
  active: number | null;
  previous: number | null;
  /** Weights sum to at most 10000; the active version takes the rest. */
  arms: Arm[];
  shadow: ShadowCapture[];
  /** Every kill switch that is on here; which of them stops a version is {@link killOn}. */
  kills: KillInForce[];
  /** No inference is admitted under an older epoch. */
  minEpoch: number;
  /** The release that holds the pointer. */
  releaseId: string | null;
  /** Base64 of the 32 bytes that assignment is keyed with; it never changes. */
  salt: string;
}

/** What a move changes: the rest of the row stays. */
export type Pointers = Pick<RoutingDocument, 'active' | 'previous' | 'arms' | 'shadow'>;

/** Where a target stands before its first release. */
export const nothingLive: Pointers = { active: null, previous: null, arms: [], shadow: [] };

/** All traffic to `version`; what was active becomes the one to go back to. */
export const promoted = (now: Pointers, version: number): Pointers => ({
  active: version,
  previous: now.active === version ? now.previous : now.active,
  arms: [],
  shadow: now.shadow.filter((capture) => capture.version !== version),
});

/** Captures sampled traffic for one more version. */
export const shadowed = (now: Pointers, capture: ShadowCapture): Pointers => ({
  ...now,
  shadow: [...now.shadow.filter(({ shadowId }) => shadowId !== capture.shadowId), capture],
});

/** What was live before a release moved anything; captures of other versions stay. */
export const restored = (
  now: Pointers,
  earlier: { active: number | null; previous: number | null },
  version: number,
): Pointers => ({
  active: earlier.active,
  previous: earlier.previous,
  arms: now.arms.filter((arm) => arm.version !== version),
  shadow: now.shadow.filter((capture) => capture.version !== version),
});

/**
 * The kill that stops `version`, if any; `fail_closed` before `fallback`. A kill of the tenant or the model stops
 * every version when it fails closed, and all but the one to fall back on when it falls back. A kill of a version
 * stops that version wherever it stands.
 * @param standing `primary` for the active version, arms and shadows, `fallback` for PREVIOUS
 */
export function killOn(
  kills: readonly KillInForce[],
  version: number,
  standing: 'primary' | 'fallback' = 'primary',
): KillInForce | undefined {
  const stops = (kill: KillInForce) =>
    kill.scope === 'version'
      ? kill.version === version
      : kill.mode === 'fail_closed' || standing === 'primary';
  const found = kills.filter(stops);
  return found.find(({ mode }) => mode === 'fail_closed') ?? found[0];
}

/**
 * The kill that keeps a release from giving its version traffic. A rollback is harm reduction: only a kill of the very
 * version stops it, so that a killed model can be rolled back before its kill is lifted.
 */
export const blockingKill = (
  kills: readonly KillInForce[],
  release: { version: number; strategy: ReleaseStrategy },
): KillInForce | undefined =>
  killOn(
    release.strategy === 'rollback' ? kills.filter(({ scope }) => scope === 'version') : kills,
    release.version,
  );

const strength = ({ scope, mode }: KillInForce): number =>
  (scope === 'version' ? 0 : 2) + (mode === 'fail_closed' ? 1 : 0);

/**
 * The `kill` column of a routing row: the strongest switch, and all of them; null where none is on. A request carries
 * the id of the strongest, so that one that was admitted under another state of the switches resolves again.
 */
export function killColumn(
  kills: readonly KillInForce[],
): (KillInForce & { all: KillInForce[] }) | null {
  const all = [...kills].sort((a, b) => strength(b) - strength(a));
  const [strongest] = all;
  return strongest === undefined ? null : { ...strongest, all };
}

/** The versions that a row routes to or may fall back to, each once. */
export const versionsIn = ({ active, previous, arms }: Pointers): number[] => [
  ...new Set([
    ...(active === null ? [] : [active]),
    ...arms.map(({ version }) => version),
    ...(previous === null ? [] : [previous]),
  ]),
];
