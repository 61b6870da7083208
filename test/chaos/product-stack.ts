import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { childEnv, loadConfig } from '../../src/config.js';
import { obtainTemporal } from '../../src/main/dev-services.js';
import { freshStackEnv } from '../support/stack.js';
import { askSql } from './ask-sql.js';
import type { ChaosProcess } from './chaos-process.js';
import { callApi, insist } from './people.js';
import { writeStrippedTree } from './stripped-tree.js';
import { childrenOf, killPid, Supervisor } from './supervisor.js';

/** A connection between two processes of the product, or out of it, that a run can disturb. */
type LinkName =
  'api-postgres' | 'api-temporal' | 'worker-postgres' | 'worker-temporal' | 'worker-provider';

/** What a harness makes of the product. */
export interface StackPlan {
  say: (line: string) => void;
  /** Entries of API and worker, under `test/chaos`. */
  entries: { api: string; worker: string };
  /** Variables besides those of every stack. */
  env: Record<string, string>;
  /** Links that lead through a proxy. */
  links: readonly LinkName[];
  /** Tenants besides `default`. */
  tenants?: readonly string[];
  /** What the nth worker has besides, from 1. */
  workerEnv?: (nth: number) => Record<string, string>;
}

interface Services {
  urls: Record<'api' | 'worker' | 'relay', string>;
  adminUrl: string;
  temporalAddress: string;
  bundle: string;
  adminKeys: Record<string, string>;
}

type Json = Record<string, unknown>;

const portOf = (url: string): number => Number(new URL(url).port);

const withPort = (url: string, port: number): string => {
  const changed = new URL(url);
  changed.port = String(port);
  return changed.toString();
};

/** A principal of one role and a key of it, narrowed to scopes where any are named. */
export async function issueKey(
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

/** The product as `npm start` runs it, each process under the supervisor, with links that can be cut. */
export class ProductStack {
  readonly supervisor = new Supervisor();
  readonly say: (line: string) => void;
  readonly #plan: StackPlan;
  /** Of every process, and what API and worker have besides. */
  #env: Record<string, string> = {};
  #apiEnv: Record<string, string> = {};
  #workerEnv: Record<string, string> = {};
  #services: ChaosProcess | undefined;
  #nextApi: ChaosProcess | undefined;
  #nextWorker: ChaosProcess | undefined;
  #proxy: ChaosProcess | undefined;
  #temporal: Client | undefined;
  #pids: Record<string, number> = {};
  #workers = 0;
  #tree = '';
  worker: ChaosProcess | undefined;
  api: ChaosProcess | undefined;
  stateDir = '';
  sourcesDir = '';
  adminUrl = '';
  /** Past the proxies. */
  workerUrl = '';
  baseUrl = '';
  ledgerFile = '';
  temporalAddress = '';
  bundle = '';
  /** Key of the first administrator, by tenant. */
  adminKeys: Record<string, string> = {};

  constructor(plan: StackPlan) {
    this.#plan = plan;
    this.say = plan.say;
  }

  /** Arguments of a worker, besides the state folder. */
  protected workerArgs(): string[] {
    return [];
  }

  get logsDir(): string {
    return join(this.stateDir, 'logs');
  }

  #log(name: string): string {
    return join(this.logsDir, `${name}.log`);
  }

  #start(name: string, entry: string, args: string[] = []): ChaosProcess {
    return this.supervisor.start({ name, entry, args, env: this.#env, logFile: this.#log(name) });
  }

  /** One that starts often. */
  #startQuickly(name: string, entry: string, of: { args: string[]; env?: object }): ChaosProcess {
    return this.supervisor.start({
      name,
      entry,
      args: of.args,
      env: { ...this.#env, ...of.env },
      logFile: this.#log(name),
      tree: this.#tree,
    });
  }

  /** Starts everything. A stack that does not come up ends what it has started. */
  async start(): Promise<void> {
    this.#env = childEnv({
      ...(await freshStackEnv()),
      ANNEAL_LOG_LEVEL: 'warn',
      NODE_OPTIONS: '',
      ANNEAL_TEMPORAL_METRICS_PORT: '0',
      ANNEAL_WORKER_METRICS_PORT: '0',
      ...this.#plan.env,
    });
    this.stateDir = this.#env['ANNEAL_STATE_DIR'] ?? '';
    this.sourcesDir = `${this.stateDir}-sources`;
    this.ledgerFile = join(this.stateDir, 'paid-calls.jsonl');
    this.baseUrl = `http://127.0.0.1:${this.#env['ANNEAL_API_PORT']}`;
    await mkdir(this.logsDir, { recursive: true });
    await mkdir(this.sourcesDir, { recursive: true });
    // Here and not in the process that starts it: a build takes longer than a process may take to load.
    await obtainTemporal(loadConfig(this.#env), this.say);
    const tree = join(this.stateDir, 'tree');
    const [services, providerPort] = await Promise.all([
      this.#startServices(),
      this.#startProvider(),
      writeStrippedTree(tree),
    ]);
    this.#tree = tree;
    this.#env['NODE_COMPILE_CACHE'] = join(this.stateDir, 'compile-cache');
    this.say('Postgres, Temporal and the embedding provider are up');
    await this.#startProxies(services, providerPort);
    this.#prepareNext();
    this.#nextApi = this.#startApi();
    await Promise.all([this.beginWorker(), this.beginApi()]);
    this.say(`the API answers at ${this.baseUrl}; state and logs in ${this.stateDir}`);
  }

  async #startServices(): Promise<Services> {
    const services = this.#start('services', './services.ts', [...(this.#plan.tenants ?? [])]);
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
    this.bundle = found.bundle;
    const keys = JSON.parse(await readFile(join(this.stateDir, 'keys.json'), 'utf8')) as Json;
    this.adminKeys = { ...found.adminKeys, default: String(keys['admin']) };
    return found;
  }

  async #startProvider(): Promise<number> {
    const provider = this.#start('provider', './provider.ts', [this.ledgerFile]);
    const told = Promise.withResolvers<number>();
    provider.onNote = ({ value }) => told.resolve(value as number);
    await provider.ready();
    return told.promise;
  }

  async #startProxies(services: Services, providerPort: number): Promise<void> {
    const proxy = this.#start('proxy', './proxy.ts');
    this.#proxy = proxy;
    await proxy.ready();
    const { urls, temporalAddress, bundle } = services;
    const through = async (name: LinkName, port: number): Promise<number> =>
      this.#plan.links.includes(name)
        ? proxy.call<number>('open', { name, host: '127.0.0.1', port })
        : port;
    const postgres = portOf(urls.api);
    const temporal = Number(temporalAddress.split(':').at(-1));
    const ports = {
      apiPostgres: await through('api-postgres', postgres),
      apiTemporal: await through('api-temporal', temporal),
      workerPostgres: await through('worker-postgres', postgres),
      workerTemporal: await through('worker-temporal', temporal),
      provider: await through('worker-provider', providerPort),
    };
    Object.assign(this.#env, {
      ANNEAL_API_DATABASE_URL: withPort(urls.api, ports.apiPostgres),
      ANNEAL_WORKER_DATABASE_URL: withPort(urls.worker, ports.workerPostgres),
      ANNEAL_RELAY_DATABASE_URL: withPort(urls.relay, ports.workerPostgres),
      ANNEAL_WORKFLOW_BUNDLE: bundle,
      ANNEAL_SOURCE_FOLDERS: this.sourcesDir,
      ANNEAL_EMBEDDING_URL: `http://127.0.0.1:${ports.provider}/v1`,
      ANNEAL_EMBEDDING_MODEL: 'chaos',
      ANNEAL_EMBEDDING_DIMS: '384',
    });
    this.#apiEnv = { TEMPORAL_ADDRESS: `127.0.0.1:${ports.apiTemporal}` };
    this.#workerEnv = { TEMPORAL_ADDRESS: `127.0.0.1:${ports.workerTemporal}` };
  }

  #startApi(): ChaosProcess {
    const of = { args: [this.stateDir], env: this.#apiEnv };
    return this.#startQuickly('api', this.#plan.entries.api, of);
  }

  #prepareNext(): void {
    this.#workers += 1;
    const env = { ...this.#workerEnv, ...this.#plan.workerEnv?.(this.#workers) };
    const of = { args: [...this.workerArgs(), this.stateDir], env };
    this.#nextWorker = this.#startQuickly(`worker-${this.#workers}`, this.#plan.entries.worker, of);
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

  /** Another build of the worker from now on. */
  protected async replaceWorker(): Promise<void> {
    await this.#nextWorker?.kill();
    this.#prepareNext();
    await this.worker?.kill();
    await this.beginWorker();
  }

  async beginApi(): Promise<void> {
    const api = this.#nextApi ?? this.#startApi();
    await api.begin();
    this.api = api;
    this.#nextApi = this.#startApi();
  }

  async killApi(): Promise<void> {
    await this.api?.kill();
  }

  /** Who died without being killed, and is started again; a product that survives its surroundings has none. */
  async mourn(): Promise<string[]> {
    const died = this.supervisor.takeDied();
    if (this.worker?.died === true) await this.beginWorker();
    if (this.api?.died === true) await this.beginApi();
    return died;
  }

  killPostgres(): boolean {
    return killPid(this.#pids['postgres'] ?? 0);
  }

  /** Postgres with all of its processes, as if the machine had lost them. */
  killPostgresTree(): boolean {
    const pid = this.#pids['postgres'] ?? 0;
    const children = pid === 0 ? [] : childrenOf(pid, '');
    const killed = killPid(pid);
    children.forEach(killPid);
    return killed;
  }

  killTemporal(): boolean {
    return killPid(this.#pids['temporal'] ?? 0);
  }

  proxy(): ChaosProcess {
    if (this.#proxy === undefined) throw new Error('no proxies');
    return this.#proxy;
  }

  sql(text: string, values: unknown[] = []): Promise<Json[]> {
    return askSql(this.adminUrl, text, values);
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
    return this.#startQuickly(name, entry, { args: [] });
  }

  /** Ends API and worker; Postgres and Temporal stay. */
  async stopProduct(): Promise<void> {
    await Promise.all([this.#nextApi?.kill(), this.#nextWorker?.kill()]);
    await Promise.all([this.api?.kill(), this.worker?.kill()]);
  }

  async close({ keep = false } = {}): Promise<void> {
    await this.#temporal?.connection.close().catch(() => undefined);
    await Promise.all([this.stopProduct(), this.#proxy?.kill()]);
    await this.#services?.stop();
    this.supervisor.killAll();
    if (keep) return;
    await rm(this.stateDir, { recursive: true, force: true });
    await rm(this.sourcesDir, { recursive: true, force: true });
  }
}
