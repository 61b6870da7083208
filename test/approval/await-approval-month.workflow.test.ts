import {
  createApprovalActivities,
  type ApprovalDeps,
} from '../../src/activities/approval/index.js';
import type { AwaitApprovalInput } from '../../src/domain/approval/contract.js';
import { DAY_MS } from '../../src/domain/units.js';
import {
  describeSkippingTime,
  startSkippingServer,
  type SkippingServer,
} from '../support/time-skipping.js';

const input: AwaitApprovalInput = {
  tenant: 't',
  approvalId: 'apr',
  model: 'credit',
  version: 2,
  env: 'prod',
  deadlineMs: 7 * DAY_MS,
  reminderBp: [5_000, 9_000],
};

// A race of a decision against the expiry is proved on Postgres, with short durations, in approval.api.test.ts.
describeSkippingTime('an approval that nobody decides, with its true seven days', () => {
  let server: SkippingServer;
  let startedMs = 0;
  const log: { what: string; atMs: number }[] = [];

  const deps: ApprovalDeps = {
    readApproval: async () => ({
      state: 'PENDING',
      required: 1,
      subjectDigest: 'sha256:1',
      currentDigest: 'sha256:1',
      remainingMs: startedMs + input.deadlineMs - (await server.nowMs()),
      decisions: [],
    }),
    isSigned: async () => true,
    expireApproval: async () => {
      log.push({ what: 'expired', atMs: await server.nowMs() });
      return 'EXPIRED';
    },
    recordReminder: async (_caller, { elapsedShareBp }) => {
      log.push({ what: `reminded at ${elapsedShareBp}`, atMs: await server.nowMs() });
    },
    applyApproval: async () => undefined,
    invalidateApproval: async () => undefined,
    withdrawOpenApproval: async () => 'WITHDRAWN',
  };

  beforeAll(async () => {
    server = await startSkippingServer({
      ...createApprovalActivities(deps),
      authoriseStart: () => Promise.resolve(),
    });
  }, 60_000);
  afterAll(() => server.stop());

  it('reminds at half and at nine tenths of its time, expires at its end, and approves nothing', async () => {
    startedMs = await server.nowMs();
    const result: unknown = await server.env.client.workflow.execute('awaitApproval', {
      taskQueue: 'orchestration',
      workflowId: 'approval/t/month',
      args: [input],
    });
    expect(result).toEqual({ state: 'EXPIRED' });
    expect(log.map(({ what }) => what)).toEqual([
      'reminded at 5000',
      'reminded at 9000',
      'expired',
    ]);
    const days = log.map(({ atMs }) => (atMs - startedMs) / DAY_MS);
    expect(days[0]).toBeCloseTo(3.5, 2);
    expect(days[1]).toBeCloseTo(6.3, 2);
    expect(days[2]).toBeCloseTo(7, 2);
  }, 60_000);
});
