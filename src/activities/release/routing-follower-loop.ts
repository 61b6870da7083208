import type { Target } from '../../domain/release/contract.js';
import { versionsThatServe, versionsToLoad } from '../../domain/release/versions-to-load.js';
import type { FollowedTarget, HeldTarget } from '../../domain/release/record.js';
import type { RoutingDocument } from '../../domain/release/routing.js';
import { createVersionPreparer, type PrepareVersion } from './version-preparer.js';

/** What the follower asks for. */
export interface RoutingFollowerDeps {
  /** One per process; the key of its lease. */
  processId: string;
  /** `inference` loads versions and reports them ready; `api` only resolves. */
  role: 'api' | 'inference';
  tenants: () => Promise<string[]>;
  /** Reports what this process holds, where it is given, and reads what it has to hold. */
  follow: (
    tenant: string,
    process: { processId: string; role: 'api' | 'inference' },
    held?: HeldTarget[],
  ) => Promise<FollowedTarget[]>;
  leave: (tenant: string, processId: string) => Promise<void>;
  /** Follows NOTIFY `routing`, whose payload is the tenant; resolves when the signal aborts. */
  listen: (
    handlers: { onNotice: (tenant: string) => void; onReconnect: () => void },
    signal: AbortSignal,
  ) => Promise<void>;
  prepareVersion: PrepareVersion;
  log: { warn: (facts: object, message: string) => void };
  /** Milliseconds: between polls (500), after which a lease is renewed (3,000), for the list of tenants (5,000). */
  intervals?: { pollMs: number; leaseMs: number; tenantsMs: number };
}

/** A serving process's own copy of the routing, kept fresh by NOTIFY and a poll. */
export interface RoutingFollower {
  run: (signal: AbortSignal) => Promise<void>;
  /** False once the copy is older than 5 s. */
  healthy: () => boolean;
  /** The routing of a target as this process has it; undefined where it has none. */
  resolve: (tenant: string, target: Target) => RoutingDocument | undefined;
  /** Age of the copy: milliseconds since the last poll that reached every tenant. */
  staleForMs: () => number;
}

const STALE_MS = 5_000;
const TENANTS_AT_ONCE = 8;
const keyOf = ({ env, kind, name }: Target): string => `${env}/${kind}/${name}`;

/** What this process knows of one tenant. */
interface TenantCopy {
  targets: Map<string, FollowedTarget>;
  /** Epoch that the process serves by, per target. */
  epochs: Map<string, number>;
  reported: string;
  reportedAtMs: number;
}

/** The follower's memory, and what follows from it: what to load, what to report. */
function createMemory(deps: RoutingFollowerDeps, onChange: (tenant: string) => void) {
  const copies = new Map<string, TenantCopy>();
  const preparer = createVersionPreparer({ prepareVersion: deps.prepareVersion, onChange });
  const copyOf = (tenant: string): TenantCopy => {
    const found = copies.get(tenant);
    if (found !== undefined) return found;
    const fresh = { targets: new Map(), epochs: new Map(), reported: '', reportedAtMs: -Infinity };
    copies.set(tenant, fresh);
    return fresh;
  };
  const ready = (tenant: string, target: FollowedTarget) => (version: number) =>
    deps.role === 'api' || preparer.isReady(tenant, target.name, version);

  const take = (tenant: string, followed: FollowedTarget[], signal: AbortSignal): void => {
    const copy = copyOf(tenant);
    const needed = new Set<string>();
    copy.targets = new Map(followed.map((target) => [keyOf(target), target]));
    for (const target of followed) {
      for (const version of deps.role === 'api' ? [] : versionsToLoad(target)) {
        needed.add(preparer.keyOf(tenant, target.name, version));
        preparer.want({ tenant, model: target.name, version }, signal);
      }
    }
    preparer.retain(tenant, needed);
  };

  const held = (tenant: string): HeldTarget[] => {
    const copy = copyOf(tenant);
    return [...copy.targets.entries()].map(([key, target]) => {
      const isReady = ready(tenant, target);
      if (target.routing !== null && versionsThatServe(target).every(isReady)) {
        copy.epochs.set(key, target.routing.epoch);
      }
      const versions = deps.role === 'api' ? [] : versionsToLoad(target);
      const failures = versions.flatMap((version) => {
        const reason = preparer.failureOf(tenant, target.name, version);
        return reason === undefined ? [] : [[String(version), reason] as const];
      });
      return {
        env: target.env,
        kind: target.kind,
        name: target.name,
        epoch: copy.epochs.get(key) ?? 0,
        ready: versions.filter(isReady),
        failures: Object.fromEntries(failures),
      };
    });
  };
  return { copies, copyOf, take, held };
}

/** Tenants that a notice named, and a wait that a notice ends. */
function createNotices() {
  const named = new Set<string>();
  let wake: () => void = () => undefined;
  return {
    ring: (tenant: string): void => {
      named.add(tenant);
      wake();
    },
    take: (): string[] => {
      const taken = [...named];
      named.clear();
      return taken;
    },
    /** Resolves after `waitMs`, at a notice, or when the signal aborts. */
    wait: (waitMs: number, signal: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', end);
          wake = () => undefined;
          resolve();
        };
        const timer = setTimeout(end, waitMs);
        signal.addEventListener('abort', end);
        wake = end;
        if (named.size > 0 || signal.aborted) end();
      }),
  };
}

/** Polls tenants: reports what is held where it changed or is due, and takes what is to be held. */
function createPoll(
  deps: RoutingFollowerDeps,
  onChange: (tenant: string) => void,
  leaseMs: number,
) {
  const memory = createMemory(deps, onChange);
  const process = { processId: deps.processId, role: deps.role };
  const pollOne = async (tenant: string, signal: AbortSignal): Promise<void> => {
    const copy = memory.copyOf(tenant);
    // The second round trip reports what the first one brought.
    for (let trips = 0; trips < 2; trips++) {
      const held = memory.held(tenant);
      const report = JSON.stringify(held);
      const due = performance.now() - copy.reportedAtMs > leaseMs;
      if (trips === 1 && report === copy.reported) return;
      const reports = held.length > 0 && (due || report !== copy.reported);
      memory.take(tenant, await deps.follow(tenant, process, reports ? held : undefined), signal);
      if (reports) {
        copy.reported = report;
        copy.reportedAtMs = performance.now();
      }
    }
  };
  /** False where a tenant could not be reached. */
  const poll = async (tenants: string[], signal: AbortSignal): Promise<boolean> => {
    let ok = true;
    for (let first = 0; first < tenants.length; first += TENANTS_AT_ONCE) {
      const group = tenants.slice(first, first + TENANTS_AT_ONCE);
      for (const result of await Promise.allSettled(group.map((each) => pollOne(each, signal)))) {
        if (result.status === 'fulfilled') continue;
        ok = false;
        deps.log.warn({ reason: String(result.reason) }, 'routing: the store does not answer');
      }
    }
    return ok;
  };
  return { poll, copies: memory.copies };
}

/**
 * Follows the pointers of every tenant: a notice is looked at once, everything else at each poll; the lease is renewed
 * when something changed, and every 3 s. An epoch is reported as held only when what serves under it is loaded, so
 * that weight never reaches a version that is not.
 */
export function createRoutingFollowerLoop(deps: RoutingFollowerDeps): RoutingFollower {
  const { pollMs, leaseMs, tenantsMs } = deps.intervals ?? {
    pollMs: 500,
    leaseMs: 3_000,
    tenantsMs: 5_000,
  };
  const notices = createNotices();
  const { poll, copies } = createPoll(deps, notices.ring, leaseMs);
  const times = { freshMs: -Infinity, lookedMs: -Infinity, listedMs: -Infinity };
  let tenants: string[] = [];

  const pollAll = async (signal: AbortSignal): Promise<void> => {
    times.lookedMs = performance.now();
    notices.take();
    try {
      if (times.lookedMs - times.listedMs > tenantsMs) {
        tenants = await deps.tenants();
        times.listedMs = times.lookedMs;
      }
      if (await poll(tenants, signal)) times.freshMs = performance.now();
    } catch (error) {
      deps.log.warn({ reason: String(error) }, 'routing: the store does not answer');
    }
  };
  const followAll = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      if (performance.now() - times.lookedMs >= pollMs) await pollAll(signal);
      else await poll(notices.take(), signal);
      await notices.wait(Math.max(1, pollMs - (performance.now() - times.lookedMs)), signal);
    }
  };

  return {
    healthy: () => performance.now() - times.freshMs < STALE_MS,
    staleForMs: () => performance.now() - times.freshMs,
    resolve: (tenant, target) =>
      copies.get(tenant)?.targets.get(keyOf(target))?.routing ?? undefined,
    run: async (signal) => {
      const onReconnect = () => {
        times.lookedMs = -Infinity;
        times.listedMs = -Infinity;
      };
      await Promise.all([
        deps.listen({ onNotice: notices.ring, onReconnect }, signal),
        followAll(signal),
      ]);
      await Promise.allSettled([...copies.keys()].map((each) => deps.leave(each, deps.processId)));
    },
  };
}
