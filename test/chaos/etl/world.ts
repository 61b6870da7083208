import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openDatabase } from '../../../src/adapters/postgres/database.js';
import { mutate } from '../../../src/adapters/postgres/mutate.js';
import { newId } from '../../../src/adapters/postgres/new-id.js';
import { compactGenerationStart } from '../../../src/domain/etl/contract.js';
import type { ChaosProcess } from '../chaos-process.js';
import type { CheckerSetup } from './checker.js';
import type { DriverSetup } from './driver.js';
import type { EtlStack } from './etl-stack.js';
import type { Books, Verdict } from './findings.js';
import { everyReader } from './make-changes.js';
import { sourceNames, type SourceName } from './source-model.js';
import { pause } from '../../support/pause.js';

const purpose = 'support';
const SETTLE_MS = 240_000;

/** A collection with one source of each kind, the driver that edits them, and the checker that looks. */
export class World {
  readonly #stack: EtlStack;
  readonly driver: ChaosProcess;
  readonly #checker: ChaosProcess;
  readonly #collectionId: string;
  readonly sources: Record<SourceName, string>;

  private constructor(
    stack: EtlStack,
    programs: { driver: ChaosProcess; checker: ChaosProcess },
    ids: { collectionId: string; sources: Record<SourceName, string> },
  ) {
    this.#stack = stack;
    this.driver = programs.driver;
    this.#checker = programs.checker;
    this.#collectionId = ids.collectionId;
    this.sources = ids.sources;
  }

  static async create(stack: EtlStack, name: string, seed: number): Promise<World> {
    const folder = join(stack.sourcesDir, name);
    await mkdir(folder, { recursive: true });
    const { steward } = stack.keys;
    const collection = await stack.post(steward, '/v1/collections', {
      name,
      embedder: 'openai',
      aclDefault: [everyReader],
      purposes: [purpose],
    });
    const collectionId = String(collection['id']);
    const made = await Promise.all(
      sourceNames.map((kind) =>
        stack.post(steward, '/v1/sources', {
          collectionId,
          name: `${name}-${kind}`,
          kind,
          config: kind === 'folder' ? { path: folder } : {},
          acl: [everyReader],
        }),
      ),
    );
    const sources = Object.fromEntries(
      sourceNames.map((kind, at) => [kind, String(made[at]?.['id'])]),
    ) as Record<SourceName, string>;
    const hook = made[sourceNames.indexOf('webhook')]?.['hook'] as DriverSetup['hook'];
    const programs = {
      driver: stack.program(`driver-${name}`, './etl/driver.ts'),
      checker: stack.program(`checker-${name}`, './etl/checker.ts'),
    };
    const world = new World(stack, programs, { collectionId, sources });
    const shared = { baseUrl: stack.baseUrl, key: steward, sources, idKey: stack.idKey };
    const logFile = join(stack.stateDir, 'logs', `${name}.jsonl`);
    const drives: DriverSetup = { ...shared, folder, logFile, seed, hook };
    const checks: CheckerSetup = {
      ...shared,
      delegateKey: stack.keys.delegate,
      adminUrl: stack.adminUrl,
      vectorsFolder: join(stack.stateDir, 'vectors'),
      tenant: stack.tenant,
      collectionId,
      purpose,
      logFile,
      ledgerFile: stack.ledgerFile,
    };
    await Promise.all([programs.driver.ready(), programs.checker.ready()]);
    await Promise.all([
      programs.driver.call('setup', drives),
      programs.checker.call('setup', checks),
    ]);
    return world;
  }

  /** What has not arrived yet. */
  async backlog(): Promise<{ changes: number; intents: number; scans: number }> {
    const [row] = await this.#stack.sql(
      `select
         (select count(*)::int from etl_change_event e join etl_source s using (tenant_id, source_id)
           where s.collection_id = $1 and e.state in ('PENDING', 'CLAIMED')) as changes,
         (select count(*)::int from etl_intent i join etl_generation g using (tenant_id, generation_id)
           where g.collection_id = $1 and i.state = 'OPEN') as intents,
         (select count(*)::int from etl_scan c join etl_source s using (tenant_id, source_id)
           where s.collection_id = $1 and c.state in ('RUNNING', 'WAITING')) as scans`,
      [this.#collectionId],
    );
    const count = (name: string) => Number(row?.[name] ?? 0);
    return { changes: count('changes'), intents: count('intents'), scans: count('scans') };
  }

  /** Waits until nothing is on its way. @throws what is left where that takes too long */
  async settle(): Promise<number> {
    const since = performance.now();
    let quiet = 0;
    for (;;) {
      const left = await this.backlog();
      quiet = left.changes + left.intents + left.scans === 0 ? quiet + 1 : 0;
      if (quiet >= 2) return performance.now() - since;
      if (performance.now() - since > SETTLE_MS)
        throw new Error(`not settled after ${SETTLE_MS} ms: ${JSON.stringify(left)}`);
      await pause(150);
    }
  }

  /** What happens to claims of a batch that nobody has renewed for 15 minutes, now. Answers how many were lost. */
  async loseClaims(): Promise<number> {
    const [row] = await this.#stack.sql(
      `with lapsed as (
         select tenant_id, doc_id, claim_batch from etl_document
         where collection_id = $1 and claim_batch is not null for update),
       freed as (
         update etl_document d set claim_batch = null, claim_until = null, fence = d.fence + 1
         from lapsed l where d.tenant_id = l.tenant_id and d.doc_id = l.doc_id),
       waiting as (
         update etl_change_event e set batch_id = null, state = 'PENDING' from lapsed l
         where e.tenant_id = l.tenant_id and e.doc_id = l.doc_id and e.batch_id = l.claim_batch and e.state = 'CLAIMED')
       select count(*)::int as n from lapsed`,
      [this.#collectionId],
    );
    return Number(row?.['n'] ?? 0);
  }

  settled(full = false): Promise<Verdict> {
    return this.#checker.call('settled', { full });
  }

  inFlight(): Promise<Verdict> {
    return this.#checker.call('inFlight');
  }

  books(): Promise<Books> {
    return this.#checker.call('books');
  }

  /** Compares store and manifests and puts right what differs, as it happens every night. */
  async reconcile(): Promise<void> {
    const { keys } = this.#stack;
    const path = `/v1/collections/${this.#collectionId}:reconcile`;
    await this.#stack.post(keys.operator, path, {});
    const deadline = performance.now() + SETTLE_MS;
    for (;;) {
      const [row] = await this.#stack.sql(
        `select count(*)::int as n from etl_reconcile r join etl_generation g using (tenant_id, generation_id)
         where g.collection_id = $1 and r.state = 'RUNNING'`,
        [this.#collectionId],
      );
      if (Number(row?.['n']) === 0) return;
      if (performance.now() > deadline) throw new Error('the reconcile did not end');
      await pause(150);
    }
  }

  /** Starts a compaction of the live generation, as the hourly one starts. */
  async compact(): Promise<void> {
    const { tenant } = this.#stack;
    const [row] = await this.#stack.sql(
      `select live_generation_id from etl_collection where tenant_id = $1 and collection_id = $2`,
      [tenant, this.#collectionId],
    );
    const generationId = String(row?.['live_generation_id']);
    const start = compactGenerationStart({
      tenant,
      compactionId: newId('compaction'),
      generationId,
    });
    const actor = { subject: 'chaos', kind: 'system' as const, roles: [], via: 'chaos' };
    const db = openDatabase({
      url: this.#stack.workerUrl,
      poolSize: 2,
      applicationName: 'anneal-chaos',
    });
    try {
      await mutate(db, { tenant, actor }, async () => ({
        status: 202,
        body: undefined,
        starts: [start],
        audit: {
          action: 'etl.compaction-requested',
          resource: { type: 'generation', id: generationId },
        },
      }));
    } finally {
      await db.close();
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.driver.kill(), this.#checker.kill()]);
  }
}
