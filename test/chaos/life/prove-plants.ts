import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import type { ChaosProcess } from '../chaos-process.js';
import type { Verdict } from './checker.js';
import type { EvidenceSetup } from './evidence.js';
import type { LifeStack } from './life-stack.js';
import { plants } from './plants.js';

/** What became of a planted bug. */
export interface Proof {
  name: string;
  /** The invariant that had to be named. */
  breaks: string;
  /** Those that were. */
  named: string[];
  finding: string;
  caught: boolean;
  seconds: number;
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const inDatabase = (url: string, database: string): string => {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.toString();
};

/** A copy of the whole database; whoever is connected to it is sent away. */
async function copyDatabase(adminUrl: string, name: string): Promise<string> {
  await withClient(inDatabase(adminUrl, 'postgres'), async (client) => {
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = 'anneal'`,
    );
    await client.query(`create database ${name} template anneal`);
  });
  return inDatabase(adminUrl, name);
}

/** Plants one bug into a copy of a run's traces and asks the checker anew: it has to name that invariant and no other. */
async function provePlant(
  of: { setup: EvidenceSetup; folder: string; checker: ChaosProcess },
  name: string,
  number: number,
): Promise<Proof> {
  const since = performance.now();
  const plant = plants[name];
  if (plant === undefined) throw new Error(`there is no planted bug ${name}`);
  const folder = join(of.folder, `plant-${number}`);
  await mkdir(folder, { recursive: true });
  const database = `plant_${number}`;
  const adminUrl = await copyDatabase(of.setup.adminUrl, database);
  const { tenants } = of.setup;
  const [first = '', second = ''] = tenants;
  const setup = await plant.plant({
    setup: { ...of.setup, adminUrl, temporalAddress: undefined },
    folder,
    tenants: [first, second],
    sql: (text) =>
      withClient(adminUrl, async (client) => {
        await client.query(`set session_replication_role = 'replica'`);
        return (await client.query(text)).rowCount ?? 0;
      }),
  });
  const { judgements } = await of.checker.call<Verdict>('judge', { setup });
  const named = judgements.filter(({ findings }) => findings.length > 0);
  await withClient(inDatabase(of.setup.adminUrl, 'postgres'), (client) =>
    client.query(`drop database ${database} with (force)`),
  );
  return {
    name,
    breaks: plant.breaks,
    named: named.map(({ id }) => id),
    finding: named[0]?.findings[0] ?? '',
    caught: named.length === 1 && named[0]?.id === plant.breaks,
    seconds: (performance.now() - since) / 1000,
  };
}

/** Every planted bug, each into a copy of its own of what a clean run has left behind. The product is stopped for it. */
export async function provePlants(
  stack: LifeStack,
  setup: EvidenceSetup,
  names: readonly string[],
): Promise<Proof[]> {
  await stack.stopProduct();
  const checker = stack.program('checker-of-plants', './life/checker.ts');
  await checker.ready();
  const proofs: Proof[] = [];
  for (const [place, name] of names.entries()) {
    const of = { setup, folder: stack.stateDir, checker };
    const proof = await provePlant(of, name, place + 1);
    stack.say(
      `planted: ${name.padEnd(26)} ${proof.caught ? 'caught' : 'MISSED'} by ${proof.named.join(', ') || 'nobody'} after ${proof.seconds.toFixed(1)} s (${proof.finding})`,
    );
    proofs.push(proof);
  }
  await checker.kill();
  return proofs;
}
