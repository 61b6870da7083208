import { createApprovalFacts } from '../../src/adapters/postgres/approval.js';
import { createIntentStore, createRelayStore } from '../../src/adapters/postgres/events.js';
import { createApprovalVerifier } from '../../src/adapters/secrets/approval-signature.js';
import { createFileSecrets } from '../../src/adapters/secrets/file-provider.js';
import { createApprovalActivities } from '../../src/activities/approval/index.js';
import { createEventsActivities } from '../../src/activities/events/index.js';
import { carryRequestId, currentRequestId } from '../../src/activities/request-id.js';
import { translateErrors } from '../../src/activities/translate-errors.js';
import { canonicalJson } from '../../src/domain/digest.js';
import { defaultPolicy } from '../../src/domain/evaluation/default-policy.js';
import { startTestApi, type TestApi, type TestCaller } from '../support/api.js';
import { eventually } from '../support/eventually.js';

const tenant = 'approvals';
const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const plan = { strategy: 'blue_green', steps: [] };

describe('approvals', () => {
  let api: TestApi;
  let workers: { stop: () => Promise<void> };
  let engineer: TestCaller;
  let approver: TestCaller;
  let second: TestCaller;
  let versions = 0;
  /** Activities in the order in which they began. */
  const ran: { workflowId: string | undefined; activity: string; requestId?: string }[] = [];

  beforeAll(async () => {
    api = await startTestApi();
    await api.createTenant(tenant);
    engineer = await api.createCaller(tenant, ['ml-engineer', 'approver']);
    approver = await api.createCaller(tenant, ['approver']);
    second = await api.createCaller(tenant, ['approver']);
    await insertModel('low', 'low');
    await insertModel('high', 'high');
    const isSigned = createApprovalVerifier(createFileSecrets(api.parts.keyFolder));
    const activities = {
      ...createEventsActivities(createIntentStore(api.database.worker)),
      ...createApprovalActivities({
        ...createApprovalFacts(api.database.worker, isSigned),
        isSigned,
      }),
    };
    workers = await api.temporal.startWorkers(activities, {
      interceptors: {
        activity: [
          () => ({ inbound: carryRequestId }),
          ({ info }) => ({
            inbound: {
              execute: (input, next) => {
                const { activityType: activity, workflowExecution } = info;
                const requestId = currentRequestId();
                const { workflowId } = workflowExecution ?? {};
                ran.push({ workflowId, activity, ...(requestId && { requestId }) });
                return next(input);
              },
            },
          }),
          () => ({ inbound: translateErrors }),
        ],
      },
    });
  }, 120_000);
  afterAll(async () => {
    await workers.stop();
    await api.stop();
  }, 60_000);

  const insertModel = (name: string, risk: string) =>
    api.database.asSuperuser(
      `insert into registered_model (tenant_id, name, purpose, risk_class, outcome, policy_name, owner, created_by, next_version)
       values ($1, $2, 'scoring', $3, '{"type":"binary"}', 'default', 'team', 'x', 100)`,
      [tenant, name, risk],
    );

  /** A version with a completed evaluation whose criteria are given. */
  async function insertVersion(model: string, criteria: object[] = [], overall = 'PASS') {
    const version = (versions += 1);
    const evaluationId = `evl_01KAJ4Y4G00000000000000${String(version).padStart(3, '0')}`;
    await api.database.asSuperuser(
      `insert into model_version (tenant_id, model, version, assurance, artifact_ref, artifact_digest, artifact_bytes, contract, contract_digest, golden, metrics, lineage, trained_by)
       values ($1, $2, $3, 'EVALUATED', 'x', $4, 1, '{}', $4, '[]', '{}', '{}', 'somebody')`,
      [tenant, model, version, digest('a')],
    );
    const report = canonicalJson({
      overall,
      criteria,
      policy: { name: defaultPolicy.name, revision: 1 },
    });
    await api.database.asSuperuser(
      `insert into evaluation (tenant_id, evaluation_id, model, version, state, input, verdict, report, report_digest, requested_by, ended_at)
       values ($1, $2, $3, $4, 'COMPLETED', '{}', $5, $6, $7, 'x', now())`,
      [tenant, evaluationId, model, version, overall, report, digest('b')],
    );
    return { model, version, evaluationId };
  }

  const ask = (of: { model: string; version: number; evaluationId: string }, more: object = {}) =>
    api.call(engineer.key, `POST /v1/models/${of.model}/versions/${of.version}/approval-requests`, {
      env: 'prod',
      evaluationId: of.evaluationId,
      rolloutPlan: plan,
      comment: 'please',
      ...more,
    });
  const read = (id: string) => api.call(approver.key, `GET /v1/approvals/${id}`);

  /** Asks for an approval of a fresh version and answers its id, digest and version. */
  async function open(model = 'low', criteria: object[] = []) {
    const of = await insertVersion(model, criteria);
    const asked = await ask(of);
    expect(asked.status).toBe(202);
    const id = String(asked.body.id);
    const { body } = await read(id);
    return { ...of, id, subjectDigest: String(body.subjectDigest) };
  }

  const decide = (who: TestCaller, of: { id: string; subjectDigest: string }, more: object = {}) =>
    api.call(who.key, `POST /v1/approvals/${of.id}:decide`, {
      decision: 'approve',
      subjectDigest: of.subjectDigest,
      reason: 'read the whole report',
      ...more,
    });

  const assuranceOf = async ({ model, version }: { model: string; version: number }) => {
    const [row] = await api.database.asSuperuser(
      'select assurance from model_version where tenant_id = $1 and model = $2 and version = $3',
      [tenant, model, version],
    );
    return row?.assurance;
  };

  it('makes a version APPROVED by one signed decision on exactly its digest', async () => {
    const of = await open();
    expect(await assuranceOf(of)).toBe('PENDING_APPROVAL');
    const { status, body } = await decide(approver, of);
    expect([status, body.state]).toEqual([200, 'APPROVED']);
    await eventually(async () => expect(await assuranceOf(of)).toBe('APPROVED'));
    expect(
      await api.temporal.client.workflow.getHandle(`approval/${tenant}/${of.id}`).result(),
    ).toEqual({ state: 'APPROVED' });
  }, 30_000);

  it('acts for the request that asked until somebody decides, and then for the request that decided', async () => {
    const asked = await ask(await insertVersion('low'));
    const id = String(asked.body.id);
    const workflowId = `approval/${tenant}/${id}`;
    const own = () => ran.filter((one) => one.workflowId === workflowId);
    await eventually(() => expect(own()).toHaveLength(2));
    const subjectDigest = String((await read(id)).body.subjectDigest);
    const decided = await decide(approver, { id, subjectDigest });
    await api.temporal.client.workflow.getHandle(workflowId).result();
    const [asks, decides] = [asked, decided].map(({ headers }) => headers.get('x-request-id'));
    expect(own()).toEqual([
      { workflowId, activity: 'authoriseStart', requestId: asks },
      { workflowId, activity: 'settleApproval', requestId: asks },
      { workflowId, activity: 'settleApproval', requestId: decides },
    ]);
    const entries = await api.database.asSuperuser(
      `select entry::jsonb->>'requestId' as "requestId" from audit_entry
       where tenant_id = $1 and entry::jsonb->>'workflowId' = $2 and entry::jsonb->>'action' = 'approval.applied'`,
      [tenant, workflowId],
    );
    expect(entries).toEqual([{ requestId: decides }]);
    // Where the API dies before it wakes the run, the relay does, for the same request.
    await eventually(async () => {
      const wakes = await createRelayStore(api.database.relay).claimWakes(1_000);
      expect(wakes.map(({ wake }) => wake)).toContainEqual(
        expect.objectContaining({ workflowId, requestId: decides }),
      );
    });
  }, 30_000);

  it('needs two people for high risk, and counts one person once', async () => {
    const of = await open('high');
    expect((await decide(approver, of)).body.state).toBe('PARTIAL');
    expect((await decide(approver, of)).body.code).toBe('ALREADY_DECIDED');
    expect((await decide(second, of)).body.state).toBe('APPROVED');
    await eventually(async () => expect(await assuranceOf(of)).toBe('APPROVED'));
  }, 30_000);

  it('refuses the requester, another digest, a missing acknowledgement and a second decision, each with its code', async () => {
    const skipped = {
      id: 'vs-champion',
      verdict: 'SKIPPED',
      severity: 'block',
      onInconclusive: 'block',
      waivable: false,
    };
    const of = await open('low', [skipped]);
    expect((await decide(engineer, of)).body.code).toBe('SELF_APPROVAL');
    const stale = await decide(approver, { ...of, subjectDigest: digest('c') });
    expect([stale.status, stale.body.code]).toEqual([409, 'STALE_SUBJECT']);
    const bare = await decide(approver, of);
    expect([bare.status, bare.body.code, bare.body.criteria]).toEqual([
      422,
      'ACKNOWLEDGEMENT_MISSING',
      ['vs-champion'],
    ]);
    expect(
      (await decide(approver, of, { acknowledged: ['vs-champion'], decision: 'reject' })).body
        .state,
    ).toBe('REJECTED');
    expect((await decide(second, of, { acknowledged: ['vs-champion'] })).body.code).toBe(
      'ALREADY_DECIDED',
    );
    const refused = await api.database.asSuperuser(
      `select entry from audit_entry where tenant_id = $1 and entry like '%request.refused%' and entry like '%STALE_SUBJECT%'`,
      [tenant],
    );
    expect(refused.length).toBe(1);
  }, 30_000);

  it('cannot be asked for where the evaluation failed', async () => {
    const failed = {
      id: 'accuracy',
      verdict: 'FAIL',
      severity: 'block',
      onInconclusive: 'block',
      waivable: false,
    };
    const { status, body } = await ask(await insertVersion('low', [failed], 'FAIL'));
    expect([status, body.code, body.criteria]).toEqual([
      409,
      'NOT_APPROVABLE',
      [{ id: 'accuracy', verdict: 'FAIL' }],
    ]);
  });

  it('expires by the database clock, and never approves by it', async () => {
    const of = await insertVersion('low');
    const { body } = await ask(of, { deadlineMs: 1_000 });
    const id = String(body.id);
    await eventually(async () => expect((await read(id)).body.state).toBe('EXPIRED'));
    const late = await decide(approver, {
      id,
      subjectDigest: String((await read(id)).body.subjectDigest),
    });
    expect([late.status, late.body.code]).toEqual([410, 'APPROVAL_EXPIRED']);
    await eventually(async () => expect(await assuranceOf(of)).toBe('EXPIRED'));
  }, 30_000);

  it('is refused once a part of what was to be approved has changed', async () => {
    const of = await open();
    await api.database.asSuperuser(
      'update model_version set artifact_digest = $3 where tenant_id = $1 and version = $2',
      [tenant, of.version, digest('f')],
    );
    expect((await decide(approver, of)).body.code).toBe('STALE_SUBJECT');
  }, 30_000);

  it('[D35] is moved by no forged update, signal or edited row', async () => {
    const of = await open();
    const handle = api.temporal.client.workflow.getHandle(`approval/${tenant}/${of.id}`);
    await eventually(() => handle.executeUpdate('wake', { args: [{ factId: 'forged' }] }));
    await handle.signal('approved', { decision: 'approve' });
    expect((await read(of.id)).body.state).toBe('PENDING');
    await expect(handle.executeUpdate('wake', { args: [{}] })).rejects.toThrow();
    await api.database.asSuperuser(
      `update approval set state = 'APPROVED', closed_at = now() where tenant_id = $1 and approval_id = $2`,
      [tenant, of.id],
    );
    await handle.executeUpdate('wake', { args: [{ factId: 'edited' }] });
    await eventually(async () => expect((await read(of.id)).body.state).toBe('INVALIDATED'));
    await eventually(async () => expect(await assuranceOf(of)).toBe('EVALUATED'));
  }, 30_000);

  it('[D47] takes decisions from the API’s role alone', async () => {
    const of = await open();
    await expect(
      api.database.worker.withTenant(tenant, (tx) =>
        tx.approvalDecision.create({
          data: {
            tenantId: tenant,
            decisionId: 'dec_x',
            approvalId: of.id,
            principalId: 'x',
            decision: 'approve',
            payload: '{}',
            signature: Buffer.from(''),
            keyId: 'k',
            nonce: 'n',
          },
        }),
      ),
    ).rejects.toThrow(/permission denied|denied/i);
  }, 30_000);

  it('refuses a run that no committed intent allows, and audits it', async () => {
    const id = `approval/${tenant}/apr_forged`;
    const run = api.temporal.client.workflow.execute('awaitApproval', {
      workflowId: id,
      taskQueue: 'orchestration',
      args: [
        {
          tenant,
          approvalId: 'apr_forged',
          model: 'low',
          version: 1,
          env: 'prod',
          deadlineMs: 1_000,
          reminderBp: [],
        },
      ],
    });
    await expect(run).rejects.toMatchObject({ cause: { cause: { type: 'START_NOT_AUTHORISED' } } });
    const audited = await api.database.asSuperuser(
      `select 1 from audit_entry where tenant_id = $1 and entry like '%START_NOT_AUTHORISED%' and entry like $2`,
      [tenant, `%${id}%`],
    );
    expect(audited.length).toBe(1);
  }, 30_000);
});
