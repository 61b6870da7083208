/** What one live serving process reports about one target. */
export interface ServingLease {
  processId: string;
  /** `inference` loads versions; `api` only resolves. */
  role: 'api' | 'inference';
  /** The newest epoch that the process serves by. */
  epoch: number;
  /** Versions loaded, with golden probes passed. */
  ready: number[];
  /** Why a version is not ready, by version. */
  failures: Record<string, string>;
  /** Since the last report, by the database's clock. */
  ageMs: number;
}

/** A process whose report is older than this is dead: nobody waits for it. */
export const LEASE_TTL_MS = 15_000;

/** Outcome of looking at the leases; `laggards` are lines for operators: process, what is missing, age. */
export interface Readiness {
  ok: boolean;
  /** True where waiting cannot help: every process refused a version for good. */
  hopeless: boolean;
  laggards: string[];
}

/** Refusals that loading again does not cure. */
const FINAL = /^(GOLDEN_MISMATCH|ARTIFACT_CORRUPT)/;

const line = ({ processId, ageMs }: ServingLease, what: string): string =>
  `${processId} ${what} (seen ${Math.round(ageMs)} ms ago)`;

/**
 * Whether serving processes are ready for versions: one for a first weight, all for the last step. No live inference
 * process is never ready.
 */
export function judgeReadiness(
  leases: readonly ServingLease[],
  versions: readonly number[],
  need: 'one' | 'all',
): Readiness {
  const serving = leases.filter(({ role }) => role === 'inference');
  const missing = (lease: ServingLease) =>
    versions.filter((version) => !lease.ready.includes(version));
  const lagging = serving.filter((lease) => missing(lease).length > 0);
  const enough = need === 'one' ? lagging.length < serving.length : lagging.length === 0;
  const refused = (lease: ServingLease) =>
    missing(lease).some((version) => FINAL.test(lease.failures[String(version)] ?? ''));
  return {
    ok: serving.length > 0 && enough,
    hopeless: serving.length > 0 && serving.every(refused),
    laggards:
      serving.length === 0
        ? ['no inference process is alive']
        : lagging.map((lease) =>
            line(
              lease,
              missing(lease)
                .map((version) => `v${version} ${lease.failures[String(version)] ?? 'not loaded'}`)
                .join(', '),
            ),
          ),
  };
}

/** Whether every live process reports `epoch` or a newer one. */
export function judgePropagation(leases: readonly ServingLease[], epoch: number): Readiness {
  const lagging = leases.filter((lease) => lease.epoch < epoch);
  return {
    ok: lagging.length === 0,
    hopeless: false,
    laggards: lagging.map((lease) => line(lease, `holds epoch ${lease.epoch}`)),
  };
}
