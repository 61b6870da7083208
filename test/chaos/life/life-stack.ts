import { issueKey, ProductStack } from '../product-stack.js';
import { parts, type Part, type TenantSetup } from './tenant-world.js';

/** The second tenant; it has the same names for its things as `default` has. */
const SECOND_TENANT = 'acme';

/** Silence after which a step is given to another worker: short, so that a kill costs seconds. */
const HEARTBEAT_MS = 2_500;

const cast = {
  steward: { kind: 'person', role: 'data-steward' },
  engineer: { kind: 'person', role: 'ml-engineer' },
  'config-admin': { kind: 'person', role: 'config-admin' },
  approver: { kind: 'person', role: 'approver' },
  operator: { kind: 'person', role: 'operator' },
  service: { kind: 'service', role: 'service' },
} as const satisfies Record<Part, { kind: string; role: string }>;

/** Everything that a run over a model's whole life kills, with a proxy on every link. */
export class LifeStack extends ProductStack {
  tenants: TenantSetup[] = [];

  constructor({ say }: { say: (line: string) => void }) {
    super({
      say,
      entries: { api: './life/api.ts', worker: './life/worker.ts' },
      env: {
        // What is logged at this level is what operators keep, and what I7 is about.
        ANNEAL_LOG_LEVEL: 'info',
        ANNEAL_ETL_HEARTBEAT_MS: String(HEARTBEAT_MS),
      },
      links: [
        'api-postgres',
        'api-temporal',
        'worker-postgres',
        'worker-temporal',
        'worker-provider',
      ],
      tenants: [SECOND_TENANT],
      // Half of the workers keep no workflow in memory: each of their tasks replays what another worker may have begun.
      workerEnv: (nth) => (nth % 2 === 0 ? { ANNEAL_MAX_CACHED_WORKFLOWS_COUNT: '0' } : {}),
    });
  }

  override async start(): Promise<void> {
    await super.start();
    for (const tenant of ['default', SECOND_TENANT]) {
      const of = { baseUrl: this.baseUrl, adminKey: this.adminKeys[tenant] ?? '' };
      const keys: Partial<Record<Part, string>> = {};
      for (const part of parts)
        keys[part] = await issueKey(of, { name: `chaos-${part}`, ...cast[part] });
      this.tenants.push({ tenant, keys: keys as Record<Part, string> });
    }
  }
}
