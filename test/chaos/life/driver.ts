import { openSync, writeSync } from 'node:fs';
import { serveCalls } from '../serve-calls.js';
import { createApiClient } from './api-client.js';
import type { DriverLine } from './log-lines.js';
import { createModelLife } from './model-life.js';
import { createReading, createServing } from './serving-life.js';
import { TenantWorld, type TenantSetup } from './tenant-world.js';

// The driver of a run: two tenants that use the whole product, and a log of every call and every answer.

export interface DriverSetup {
  baseUrl: string;
  logFile: string;
  seed: number;
  tenants: TenantSetup[];
  /** Callers of each tenant, and how long they think between two questions. */
  callers: number;
  thinkMs: number;
}

/** How far a run has come. */
export interface Progress {
  asked: number;
  acknowledged: number;
}

interface Actor {
  world: TenantWorld;
  life: ReturnType<typeof createModelLife>;
  serving: ReturnType<typeof createServing>;
  reading: ReturnType<typeof createReading>;
}

/** How long a reader of documents thinks. */
const READING_MS = 900;

let actors: Actor[] = [];
/** Lives end first: a shadow that is to be judged needs traffic. */
const lastLife = new AbortController();
const stopping = new AbortController();
const lives: Promise<unknown>[] = [];
const work: Promise<unknown>[] = [];
/** Requests that were acknowledged, by their keys. */
const acknowledged = new Set<string>();
/** The newest inference of each tenant, for the other one to ask for. */
const newest = new Map<string, string>();

function note(line: DriverLine): void {
  if (line.line !== 'answer' || line.status !== 200) return;
  acknowledged.add(line.key);
  if (line.op === 'infer' && line.id !== undefined) newest.set(line.tenant, line.id);
}

serveCalls({
  /** Brings a first version of every tenant into production. */
  setup: async (given: DriverSetup) => {
    const log = openSync(given.logFile, 'a', 0o600);
    const write = (line: DriverLine): void => {
      note(line);
      writeSync(log, `${JSON.stringify(line)}\n`);
    };
    const api = createApiClient(given.baseUrl, write);
    actors = given.tenants.map((tenant) => {
      const world = new TenantWorld(tenant, { api, write, seed: given.seed });
      const life = createModelLife(world);
      const { baseUrl, callers, thinkMs } = given;
      const serving = createServing(world, { baseUrl, callers, thinkMs });
      return { world, life, serving, reading: createReading(world, READING_MS) };
    });
    await Promise.all(
      actors.map(async ({ world, life }) => {
        await world.setUp();
        await life.begin();
      }),
    );
  },
  start: async () => {
    for (const { life, serving, reading } of actors) {
      lives.push(life.liveOn(lastLife.signal));
      work.push(serving.run(stopping.signal), reading(stopping.signal));
    }
  },
  /** So many questions of each tenant at once; nobody waits for them here. */
  burst: async ({ size }: { size: number }) => {
    for (const { serving } of actors) work.push(serving.burst(size));
  },
  /** Each tenant asks for the newest inference of the others. */
  trespass: async () => {
    for (const { world, serving } of actors)
      for (const [tenant, id] of newest)
        if (tenant !== world.tenant) {
          await serving.ask('service', `/v1/inferences/${id}`);
          await serving.ask('operator', `/v1/decisions/${id}`);
        }
  },
  progress: async (): Promise<Progress> => ({
    asked: actors.reduce((sum, { serving }) => sum + serving.asked(), 0),
    acknowledged: acknowledged.size,
  }),
  /** Everyone brings to its end what was begun. */
  stop: async () => {
    lastLife.abort();
    await Promise.all(lives);
    stopping.abort();
    await Promise.all(work);
  },
});
