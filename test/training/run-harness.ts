import { WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import type { WorkerOptions } from '@temporalio/worker';
import type { VersionView } from '../../src/domain/registry/contract.js';
import type { TrainingRunView } from '../../src/domain/training/contract.js';
import { eventually } from '../support/eventually.js';
import { connectTestTemporal, type TestTemporal } from '../support/temporal.js';
import {
  budget,
  createTrainingWorld,
  registerModel,
  testLimits,
  type TrainingWorld,
} from './training-world.js';

/** A long training: a thousand trees over some thousand rows take seconds. */
export const slow = {
  trainer: { kind: 'gbt', params: { trees: 1000, depth: 8, minHessian: 0.01 } },
};

/** Training runs on a real Temporal server, one tenant with the model `credit` for each test. */
export class RunHarness {
  readonly temporal: TestTemporal;
  readonly world: TrainingWorld;
  tenant = '';
  #workers: { stop: () => Promise<void> } | undefined;

  constructor(temporal: TestTemporal, world: TrainingWorld) {
    this.temporal = temporal;
    this.world = world;
  }

  static async open(): Promise<RunHarness> {
    const temporal = await connectTestTemporal();
    return new RunHarness(temporal, await createTrainingWorld({ temporal }));
  }

  /** A new tenant with its model; limits as they were. */
  async renew(): Promise<void> {
    Object.assign(this.world.limits, testLimits);
    this.tenant = this.world.newTenant();
    await registerModel(this.world, this.tenant);
  }

  async work(
    change: Parameters<TrainingWorld['activities']>[0] = {},
    options: Partial<WorkerOptions> = {},
  ): Promise<void> {
    await this.rest();
    this.#workers = await this.temporal.startWorkers(this.world.activities(change), options);
  }

  /** Stops the workers. */
  async rest(): Promise<void> {
    await this.#workers?.stop();
    this.#workers = undefined;
  }

  async close(): Promise<void> {
    await this.world.close();
    await this.temporal.stop();
  }

  publish(
    csv: string,
    more: Partial<Parameters<TrainingWorld['publish']>[1]> = {},
  ): Promise<string> {
    return this.world.publish(this.tenant, { csv, ...more });
  }

  async start(snapshotId: string, change: object = {}): Promise<string> {
    const trainer = { kind: 'gbt', params: { trees: 100, depth: 3 } };
    const answer = await this.world.send('POST', '/v1/models/credit/training-runs', {
      tenant: this.tenant,
      body: { snapshotId, trainer, budget, ...change },
    });
    if (answer.status !== 202) throw new Error(JSON.stringify(answer.body));
    return answer.body.id as string;
  }

  handle(runId: string) {
    return this.temporal.client.workflow.getHandle(`training/${this.tenant}/${runId}`);
  }

  async get<T>(path: string): Promise<T> {
    return (await this.world.send('GET', path, { tenant: this.tenant })).body as T;
  }

  run(runId: string): Promise<TrainingRunView> {
    return this.get(`/v1/training-runs/${runId}`);
  }

  version(version: number): Promise<VersionView> {
    return this.get(`/v1/models/credit/versions/${version}`);
  }

  async versionCount(): Promise<number> {
    return (await this.get<{ versions: number }>('/v1/models/credit')).versions;
  }

  async log(runId: string): Promise<string[]> {
    const page = await this.get<{ items: { line: string }[] }>(
      `/v1/training-runs/${runId}/logs?limit=200`,
    );
    return page.items.map(({ line }) => line);
  }

  /** Steps at which a metric was recorded. */
  async steps(runId: string, name: string): Promise<number[]> {
    const page = await this.get<{ items: { step: number }[] }>(
      `/v1/training-runs/${runId}/metrics?limit=200&name=${name}`,
    );
    return page.items.map(({ step }) => step);
  }

  /** Waits for a registered version; answers the run. */
  async registered(runId: string): Promise<TrainingRunView> {
    expect(await this.handle(runId).result()).toMatchObject({ runId, state: 'REGISTERED' });
    return this.run(runId);
  }

  /** Waits for a run to fail; answers the code of its failure. */
  async failureCode(runId: string): Promise<string | null | undefined> {
    const failure: unknown = await this.handle(runId)
      .result()
      .catch((error: unknown) => error);
    if (!(failure instanceof WorkflowFailedError))
      throw new Error(`the run gave ${String(failure)}`);
    const { cause } = failure;
    const inner = cause instanceof ActivityFailure ? cause.cause : cause;
    return inner instanceof ApplicationFailure ? inner.type : undefined;
  }

  /** Waits for a run to fail with a code; answers the run. */
  async refused(runId: string, code: string): Promise<TrainingRunView> {
    expect(await this.failureCode(runId)).toBe(code);
    return this.run(runId);
  }

  async setSnapshots(state: string): Promise<void> {
    const sql = 'update snapshot set state = $2 where tenant_id = $1';
    await this.world.database.asSuperuser(sql, [this.tenant, state]);
  }

  /** Waits until the run has written a checkpoint. */
  async checkpointed(runId: string): Promise<void> {
    const look = async () => {
      const found = await this.world.runs.listCheckpoints(this.tenant, runId);
      expect(found.length).toBeGreaterThan(0);
    };
    await eventually(look, { timeoutMs: 20_000 });
  }
}
