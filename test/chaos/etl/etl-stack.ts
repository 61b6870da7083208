import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { createFileSecrets } from '../../../src/adapters/secrets/file-provider.js';
import { childEnv } from '../../../src/config.js';
import { freshStackEnv } from '../../support/stack.js';
import type { ChaosProcess } from '../chaos-process.js';
import { writeStrippedTree } from '../stripped-tree.js';
import { childrenOf, killPid, Supervisor } from '../supervisor.js';
import { callApi, insist } from './people.js';
import type { PlantedFault } from './planted-faults.js';
import { askSql } from './reader.js';

// The product as `npm start` runs it, each process under the supervisor, with links that can be cut.

const tenant = 'default';
/** Silence after which a step is given to another worker: short, so that a kill costs seconds. */
const HEARTBEAT_MS = 2_500;
const BATCHES_PER_RUN = 3;

interface Services {
  urls: Record<'api' | 'worker' | 'relay', string>;
  adminUrl: string;
  temporalAddress: string;
  bundle: string;
}

/** Keys of those who act in a run. */
interface Keys {
  steward: string;
  operator: string;
  delegate: string;
}

type Json = Record<string, unknown>;

/** A principal of one role and a key of it, narrowed to scopes where any are named. */
async function issueKey(
  of: { baseUrl: string; adminKey: string },
  principal: { name: string; kind: 'person' | 'service'; role: string },
  scopes: string[] = [],
): Promise<string> {
  const post = (path: string, body: object) =>
    insist(() => callApi(of.baseUrl, of.adminKey, { method: 'POST', path, body })) as Promise<Json>;
  const { name, kind, role } = principal;
  const made = await post('/v1/principals', { kind, name, roles: [role] });
  const issued = await post('/v1/api-keys', {
    principalId: made.id,
    env: 'prod',
    ...(scopes.length === 0 ? {} : { scopes }),
  });
  return String(issued.key);
}

const portOf = (url: string): number => Number(new URL(url).port);

const withPort = (url: string, port: number): string => {
  const changed = new URL(url);
  changed.port = String(port);
  return changed.toString();
};

export interface StackOptions {
  say: (line: string) => void;
}

/** Everything a run kills, and the means to do it. */
export class EtlStack {
  readonly supervisor = new Supervisor();
  readonly tenant = tenant;
  readonly #say: (line: string) => void;
  #env: Record<string, string> = {};
  #services: ChaosProcess | undefined;
  #api: ChaosProcess | undefined;
  #nextApi: ChaosProcess | undefined;
  #nextWorker: ChaosProcess | undefined;
  #proxy: ChaosProcess | undefined;
  #temporal: Client | undefined;
  #pids: Record<string, number> = {};
  #workers = 0;
  #tree = '';
  #planted: PlantedFault | 'none' = 'none';
  worker: ChaosProcess | undefined;
  stateDir = '';
  sourcesDir = '';
  adminUrl = '';
  /** Past the proxies. */
  workerUrl = '';
  baseUrl = '';
  ledgerFile = '';
  temporalAddress = '';
  keys: Keys = { steward: '', operator: '', delegate: '' };
  idKey = '';

  constructor({ say }: StackOptions) {
    this.#say = say;
  }

  #log(name: string): string {
    return join(this.stateDir, 'logs', `${name}.log`);
  }

  #start(name: string, entry: string, args: string[] = []): ChaosProcess {
    return this.supervisor.start({ name, entry, args, env: this.#env, logFile: this.#log(name) });
  }

  /** One that starts often. */
  #startQuickly(name: string, entry: string, args: string[]): ChaosProcess {
    const logFile = this.#log(name);
    return this.supervisor.start({ name, entry, args, env: this.#env, logFile, tree: this.#tree });
  }

  /** Starts everything. A stack that does not come up ends what it has started. */
  async start(): Promise<void> {
    this.#env = childEnv({
      ...(await freshStackEnv()),
      ANNEAL_LOG_LEVEL: 'warn',
      NODE_OPTIONS: '',
      ANNEAL_TEMPORAL_METRICS_PORT: '0',
      ANNEAL_WORKER_METRICS_PORT: '0',
      ANNEAL_WORKER_ROLES: 'orchestration,etl',
      ANNEAL_ETL_HEARTBEAT_MS: String(HEARTBEAT_MS),
      ANNEAL_ETL_BATCHES_PER_RUN_COUNT: String(BATCHES_PER_RUN),
    });
    this.stateDir = this.#env['ANNEAL_STATE_DIR'] ?? '';
    this.sourcesDir = `${this.stateDir}-sources`;
    this.ledgerFile = join(this.stateDir, 'paid-calls.jsonl');
    this.baseUrl = `http://127.0.0.1:${this.#env['ANNEAL_API_PORT']}`;
    await mkdir(join(this.stateDir, 'logs'), { recursive: true });
    await mkdir(this.sourcesDir, { recursive: true });
    const tree = join(this.stateDir, 'tree');
    const [services] = await Promise.all([
      this.#startServices(),
      this.#startProvider(),
      writeStrippedTree(tree),
    ]);
    this.#tree = tree;
    this.#env['NODE_COMPILE_CACHE'] = join(this.stateDir, 'compile-cache');
    this.#say('Postgres, Temporal and the embedding provider are up');
    await this.#startProxies(services);
    this.#prepareNext();
    this.#nextApi = this.#startApi();
    await Promise.all([this.beginWorker(), this.beginApi()]);
    await this.#meetPeople();
    this.#say(`the API answers at ${this.baseUrl}; state and logs in ${this.stateDir}`);
  }

  async #startServices(): Promise<Services> {
    const services = this.#start('services', './services.ts');
    this.#services = services;
    const told = Promise.withResolvers<Services>();
    services.onNote = ({ name, value }) => {
      if (name === 'pids') this.#pids = value as Record<string, number>;
      if (name === 'services') told.resolve(value as Services);
    };
    await services.ready();
    const found = await told.promise;
    this.adminUrl = found.adminUrl;
    this.workerUrl = found.urls.worker;
    this.temporalAddress = found.temporalAddress;
    return found;
  }

  async #startProvider(): Promise<void> {
    const provider = this.#start('provider', './etl/provider.ts', [this.ledgerFile]);
    const told = Promise.withResolvers<number>();
    provider.onNote = ({ value }) => told.resolve(value as number);
    await provider.ready();
    this.#env['PROVIDER_PORT'] = String(await told.promise);
  }

  async #startProxies({ urls, temporalAddress, bundle }: Services): Promise<void> {
    const proxy = this.#start('proxy', './proxy.ts');
    this.#proxy = proxy;
    await proxy.ready();
    const open = (name: string, port: number): Promise<number> =>
      proxy.call('open', { name, host: '127.0.0.1', port });
    const [postgres, provider] = await Promise.all([
      open('worker-postgres', portOf(urls.worker)),
      open('worker-provider', Number(this.#env['PROVIDER_PORT'])),
    ]);
    Object.assign(this.#env, {
      ANNEAL_API_DATABASE_URL: urls.api,
      ANNEAL_WORKER_DATABASE_URL: withPort(urls.worker, postgres),
      ANNEAL_RELAY_DATABASE_URL: withPort(urls.relay, postgres),
      ANNEAL_WORKFLOW_BUNDLE: bundle,
      TEMPORAL_ADDRESS: temporalAddress,
      ANNEAL_SOURCE_FOLDERS: this.sourcesDir,
      ANNEAL_EMBEDDING_URL: `http://127.0.0.1:${provider}/v1`,
      ANNEAL_EMBEDDING_MODEL: 'chaos',
      ANNEAL_EMBEDDING_DIMS: '384',
    });
  }

  async #meetPeople(): Promise<void> {
    const keys = JSON.parse(await readFile(join(this.stateDir, 'keys.json'), 'utf8')) as Json;
    const of = { baseUrl: this.baseUrl, adminKey: String(keys['admin']) };
    const steward = { name: 'chaos-steward', kind: 'person', role: 'data-steward' } as const;
    const operator = { name: 'chaos-operator', kind: 'person', role: 'operator' } as const;
    const service = { name: 'chaos-service', kind: 'service', role: 'service' } as const;
    this.keys = {
      steward: await issueKey(of, steward),
      operator: await issueKey(of, operator),
      delegate: await issueKey(of, service, ['retrieval:query', 'retrieval:delegate']),
    };
    const secrets = createFileSecrets(join(this.stateDir, 'keys'));
    this.idKey = Buffer.from((await secrets.documentIdKey(tenant)).reveal()).toString('hex');
  }

  #startApi(): ChaosProcess {
    return this.#startQuickly('api', './etl/api.ts', [this.stateDir]);
  }

  #prepareNext(): void {
    this.#workers += 1;
    this.#nextWorker = this.#startQuickly(`worker-${this.#workers}`, './etl/worker.ts', [
      this.#planted,
      this.stateDir,
    ]);
  }

  /** The next worker takes part; another one is loaded meanwhile, so that the next kill costs less. */
  async beginWorker(): Promise<ChaosProcess> {
    const worker = this.#nextWorker;
    if (worker === undefined) throw new Error('no worker is loaded');
    await worker.begin();
    this.worker = worker;
    this.#prepareNext();
    return worker;
  }

  async beginApi(): Promise<void> {
    const api = this.#nextApi ?? this.#startApi();
    await api.begin();
    this.#api = api;
    this.#nextApi = this.#startApi();
  }

  async killApi(): Promise<void> {
    await this.#api?.kill();
  }

  /** Workers with a planted fault from now on. */
  async plant(fault: PlantedFault | 'none'): Promise<void> {
    this.#planted = fault;
    await this.#nextWorker?.kill();
    this.#prepareNext();
    await this.worker?.kill();
    await this.beginWorker();
  }

  /** Who died without being killed, and is started again; a product that survives its surroundings has none. */
  async mourn(): Promise<string[]> {
    const died = this.supervisor.takeDied();
    if (this.worker?.died === true) await this.beginWorker();
    if (this.#api?.died === true) await this.beginApi();
    return died;
  }

  killPostgres(): boolean {
    return killPid(this.#pids['postgres'] ?? 0);
  }

  killTemporal(): boolean {
    return killPid(this.#pids['temporal'] ?? 0);
  }

  /** SIGKILL to the parser children of the worker at work. Answers how many there were. */
  killParsers(): number {
    const pid = this.worker?.pid ?? 0;
    return childrenOf(pid, 'parse.child').filter(killPid).length;
  }

  proxy(): ChaosProcess {
    if (this.#proxy === undefined) throw new Error('no proxies');
    return this.#proxy;
  }

  sql(text: string, values: unknown[] = []): Promise<Json[]> {
    return askSql(this.adminUrl, text, values);
  }

  /** Intents whose effect on the store nobody knows at this moment. */
  async inDoubt(): Promise<number> {
    const [row] = await this.sql(`select count(*)::int as n from etl_intent where state = 'OPEN'`);
    return Number(row?.['n'] ?? 0);
  }

  async temporal(): Promise<Client> {
    this.#temporal ??= new Client({
      connection: await Connection.connect({ address: this.temporalAddress }),
    });
    return this.#temporal;
  }

  post(key: string, path: string, body: object): Promise<Json> {
    const idempotencyKey = randomUUID();
    return insist(() =>
      callApi(this.baseUrl, key, { method: 'POST', path, body, idempotencyKey }),
    ) as Promise<Json>;
  }

  /** Starts one of the harness's own programs. */
  program(name: string, entry: string): ChaosProcess {
    return this.#startQuickly(name, entry, []);
  }

  async close({ keep = false } = {}): Promise<void> {
    await this.#temporal?.connection.close().catch(() => undefined);
    await Promise.all([this.#nextApi?.kill(), this.#nextWorker?.kill(), this.#proxy?.kill()]);
    await Promise.all([this.#api?.kill(), this.worker?.kill()]);
    await this.#services?.stop();
    this.supervisor.killAll();
    if (keep) return;
    await rm(this.stateDir, { recursive: true, force: true });
    await rm(this.sourcesDir, { recursive: true, force: true });
  }
}
