import { join } from 'node:path';
import { createFileSecrets } from '../../../src/adapters/secrets/file-provider.js';
import { issueKey, ProductStack } from '../product-stack.js';
import { childrenOf, killPid } from '../supervisor.js';
import type { PlantedFault } from './planted-faults.js';

const tenant = 'default';
/** Silence after which a step is given to another worker: short, so that a kill costs seconds. */
const HEARTBEAT_MS = 2_500;
const BATCHES_PER_RUN = 3;

/** Keys of those who act in a run. */
interface Keys {
  steward: string;
  operator: string;
  delegate: string;
}

export interface StackOptions {
  say: (line: string) => void;
}

/** Everything that a run of the knowledge pipeline kills, and the means to do it. */
export class EtlStack extends ProductStack {
  readonly tenant = tenant;
  #planted: PlantedFault | 'none' = 'none';
  keys: Keys = { steward: '', operator: '', delegate: '' };
  idKey = '';

  constructor({ say }: StackOptions) {
    super({
      say,
      entries: { api: './etl/api.ts', worker: './etl/worker.ts' },
      env: {
        ANNEAL_WORKER_ROLES: 'orchestration,etl',
        ANNEAL_ETL_HEARTBEAT_MS: String(HEARTBEAT_MS),
        ANNEAL_ETL_BATCHES_PER_RUN_COUNT: String(BATCHES_PER_RUN),
      },
      links: ['worker-postgres', 'worker-provider'],
    });
  }

  protected override workerArgs(): string[] {
    return [this.#planted];
  }

  override async start(): Promise<void> {
    await super.start();
    const of = { baseUrl: this.baseUrl, adminKey: this.adminKeys[tenant] ?? '' };
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

  /** Workers with a planted fault from now on. */
  async plant(fault: PlantedFault | 'none'): Promise<void> {
    this.#planted = fault;
    await this.replaceWorker();
  }

  /** SIGKILL to the parser children of the worker at work. Answers how many there were. */
  killParsers(): number {
    const pid = this.worker?.pid ?? 0;
    return childrenOf(pid, 'parse.child').filter(killPid).length;
  }

  /** Intents whose effect on the store nobody knows at this moment. */
  async inDoubt(): Promise<number> {
    const [row] = await this.sql(`select count(*)::int as n from etl_intent where state = 'OPEN'`);
    return Number(row?.['n'] ?? 0);
  }
}
