import { readFileSync, readdirSync } from 'node:fs';
import { ChaosProcess, type ProcessPlan } from './chaos-process.js';

/** A process that stands at an armed failpoint and waits. */
export interface Hit {
  process: ChaosProcess;
  point: string;
  /** Lets it go on. */
  pass: (answer?: unknown) => void;
}

/** A failpoint that waits for someone to come by. */
export interface Armed {
  /** Resolves with the first process that comes by; undefined once it is called off or its time is over. */
  hit: Promise<Hit | undefined>;
  callOff: () => void;
}

const processExists = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Process ids of the children of a process whose command line holds a word. */
export function childrenOf(pid: number, word: string): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const parent = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1];
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8');
      if (Number(parent) === pid && command.includes(word)) found.push(Number(name));
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** SIGKILL to a process that somebody else has started; whether it was there. */
export function killPid(pid: number): boolean {
  if (pid <= 1 || !processExists(pid)) return false;
  process.kill(pid, 'SIGKILL');
  return true;
}

/**
 * Owns the processes of a run, their signals and their failpoints; knows nothing of what they do. Failpoints that are not
 * armed let everyone pass at once.
 */
export class Supervisor {
  readonly #processes = new Set<ChaosProcess>();
  /** Processes that went by themselves since the last look: `name (code)`. */
  #died: string[] = [];
  #firstDeath = Promise.withResolvers<string>();
  readonly #armed = new Map<string, { answer: (hit: Hit) => void; passFirst: number }>();

  start(plan: ProcessPlan): ChaosProcess {
    const started = new ChaosProcess(plan);
    this.#processes.add(started);
    void started.ended.then((end) => {
      this.#processes.delete(started);
      if (!started.died) return;
      const who = `${started.name} (${end})`;
      this.#died.push(who);
      this.#firstDeath.resolve(who);
      this.#firstDeath = Promise.withResolvers();
    });
    started.onFailpoint = ({ point, pass }) => {
      const armed = this.#armed.get(point);
      if (armed === undefined) return pass();
      if (armed.passFirst > 0) {
        armed.passFirst -= 1;
        return pass();
      }
      this.#armed.delete(point);
      this.#tellArmed();
      armed.answer({ process: started, point, pass });
    };
    return started;
  }

  /** The next process at this point stops there; the first `passFirst` go through. */
  arm(point: string, { withinMs = 30_000, passFirst = 0 } = {}): Armed {
    const found = Promise.withResolvers<Hit | undefined>();
    const armed = { answer: found.resolve, passFirst };
    this.#armed.set(point, armed);
    this.#tellArmed();
    const callOff = () => {
      clearTimeout(timer);
      if (this.#armed.get(point) === armed) {
        this.#armed.delete(point);
        this.#tellArmed();
      }
      found.resolve(undefined);
    };
    const timer = setTimeout(callOff, withinMs);
    void found.promise.then(() => clearTimeout(timer));
    return { hit: found.promise, callOff };
  }

  /** Whoever is there or begins later knows which points are waited for. */
  #tellArmed(): void {
    const points = [...this.#armed.keys()];
    for (const each of this.#processes) each.tellArmed(points);
  }

  /** Who went by itself since the last look. */
  takeDied(): string[] {
    return this.#died.splice(0);
  }

  /** Work that is worth nothing once a process has gone by itself. @throws who went, at once */
  whileAllLive<T>(work: Promise<T>): Promise<T> {
    const died = this.#firstDeath.promise.then((who) => {
      throw new Error(`${who} ended by itself`);
    });
    return Promise.race([work, died]);
  }

  killAll(): void {
    for (const each of this.#processes) each.signal('SIGKILL');
  }
}
