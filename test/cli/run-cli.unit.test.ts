import { openCliWorld, type CliWorld } from './cli-world.js';

let world: CliWorld;
beforeEach(async () => {
  world = await openCliWorld();
});
afterEach(() => world.close());

const ui = 'http://127.0.0.1:8233/namespaces/default/workflows/run%2Fdefault%2Frun_1';
const started = {
  status: 202,
  body: {
    id: 'run_1',
    workflowId: 'run/default/run_1',
    status: 'QUEUED',
    links: { self: '/v1/runs/run_1', temporalUi: ui },
  },
};
const run = (state: string) => ({ status: 200, body: { id: 'run_1', state } });

describe('requests', () => {
  it('sends path, query, key and body as the document says', async () => {
    world.answers({ status: 200, body: { id: 'run_1' } });
    const file = await world.file('run.json', '{"trainer":"gbt"}');
    await world.anneal('runs', 'create', 'a/b', '--file', file, '--set', 'budget.ms=5');
    const filters = ['--state', 'FAILED', '--query-output', 'x y', '--started-by', 'mia'];
    await world.anneal('runs', 'list', 'credit', ...filters);
    const [create, list] = world.ledger;
    expect(create).toMatchObject({ method: 'POST', url: '/v1/models/a%2Fb/runs' });
    expect(create?.headers).toMatchObject({
      authorization: 'Bearer key-of-the-environment',
      'idempotency-key': 'minted-key',
      'content-type': 'application/json',
    });
    expect(JSON.parse(create?.body ?? '')).toEqual({ trainer: 'gbt', budget: { ms: 5 } });
    expect(list).toMatchObject({
      method: 'GET',
      url: '/v1/models/credit/runs?state=FAILED&output=x+y&startedBy=mia',
    });
    expect(list?.headers['idempotency-key']).toBeUndefined();
  });

  it('takes a path parameter by its option, and from a field of the file that the body does not have', async () => {
    world.answers({ status: 200, body: {} });
    const file = await world.file('run.json', '{"model":"credit","trainer":"gbt"}');
    expect((await world.anneal('runs', 'create', '--file', file)).code).toBe(0);
    expect((await world.anneal('runs', 'create', '--file', file, '--model', 'other')).code).toBe(0);
    expect(world.ledger.map(({ url }) => url)).toEqual([
      '/v1/models/credit/runs',
      '/v1/models/other/runs',
    ]);
    expect(JSON.parse(world.ledger[0]?.body ?? '')).toEqual({ trainer: 'gbt' });
  });

  it('reads the body from standard input and sends the given idempotency key and epoch', async () => {
    world.answers({ status: 200, body: {} });
    world.stdin = '{"reason":"no"}';
    await world.anneal('runs', 'cancel', 'run_1', '--file', '-', '--key', 'k1', '--if-match', '7');
    expect(world.ledger[0]).toMatchObject({
      url: '/v1/runs/run_1:cancel',
      body: '{"reason":"no"}',
    });
    expect(world.ledger[0]?.headers).toMatchObject({ 'idempotency-key': 'k1', 'if-match': '"7"' });
  });

  it('uploads options and file as multipart, options first', async () => {
    world.answers({ status: 202, body: {} });
    const rows = 'a,b\n'.repeat(50_000);
    const [options, data] = await Promise.all([
      world.file('options.json', '{"contractId":"c1"}'),
      world.file('data.csv', rows),
    ]);
    const args = ['snapshots', 'create', 'loans', '--options', options, '--file', data];
    expect((await world.anneal(...args)).code).toBe(0);
    const [upload] = world.ledger;
    expect(upload?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    const [before = '', after = ''] = (upload?.body ?? '').split('{"contractId":"c1"}');
    expect(before).toContain('name="options"');
    expect(after).toContain('name="file"; filename="data.csv"');
    expect(after).toContain(rows);
  });
});

describe('keys', () => {
  const readKeys = async () => ({ 'ml-engineer': 'k-eng', approver: 'k-app' });

  it('calls as the role that --as names', async () => {
    world.answers({ status: 200, body: {} });
    world.deps = { readKeys };
    await world.anneal('runs', 'get', 'run_1', '--as', 'approver');
    expect(world.ledger[0]?.headers.authorization).toBe('Bearer k-app');
  });

  it('never picks a role by itself: it names those that may', async () => {
    world.deps = { readKeys, apiKey: undefined };
    const refused = await world.anneal('runs', 'create', 'credit', '--set', 'trainer=gbt');
    expect(refused.code).toBe(2);
    expect(refused.err).toContain(
      '--as <role>. This needs training:run. Keys at hand: ml-engineer.',
    );
    expect(world.ledger).toEqual([]);
  });

  it('names the key that was probably meant', async () => {
    world.deps = { readKeys };
    const refused = await world.anneal('runs', 'get', 'run_1', '--as', 'aprover');
    expect(refused.code).toBe(2);
    expect(refused.err).toContain('it has ml-engineer, approver. Did you mean approver?');
    const far = await world.anneal('runs', 'get', 'run_1', '--as', 'somebody');
    expect(far.err).toContain('no key of role somebody; it has ml-engineer, approver.');
    expect(far.err).not.toContain('Did you mean');
  });

  it('says where keys come from when there is none', async () => {
    world.deps = { apiKey: undefined };
    const refused = await world.anneal('runs', 'get', 'run_1');
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.err).toContain('ANNEAL_API_KEY');
  });
});

describe('waiting', () => {
  const create = ['runs', 'create', 'credit', '--set', 'trainer=gbt'];

  it('follows links.self until the state is final and shows the link to the Temporal UI', async () => {
    const running = (more: object) => ({
      status: 200,
      body: { id: 'run_1', state: 'RUNNING', ...more },
    });
    const waits = running({ waitingOn: 'capacity' });
    const trains = running({ progress: { step: 40, maxSteps: 100 } });
    world.answers(started, run('QUEUED'), waits, waits, trains, run('REGISTERED'));
    const done = await world.anneal(...create, '--wait', '--output', 'json');
    expect(done.code).toBe(0);
    expect(JSON.parse(done.out)).toEqual({ id: 'run_1', state: 'REGISTERED' });
    const lines = done.err.split('\n');
    expect(lines.map((line) => line.split('  ').at(-1))).toEqual([
      ui,
      'QUEUED',
      'RUNNING, waiting on capacity',
      'RUNNING, step 40 of at most 100',
      'REGISTERED',
    ]);
    expect(world.ledger.slice(1).map(({ method, url }) => `${method} ${url}`)).toEqual(
      Array<string>(5).fill('GET /v1/runs/run_1'),
    );
  });

  it.each([
    ['FAILED', ''],
    ['QUARANTINED', 'a person has to decide'],
  ])('exits 1 when it ends as %s', async (state, hint) => {
    world.answers(started, run(state));
    const ended = await world.anneal(...create, '--wait');
    expect(ended.code).toBe(1);
    expect(ended.err).toContain(hint);
  });

  it('counts CANCELLED as success where a cancel was asked for', async () => {
    world.answers(started, run('RUNNING'), run('CANCELLED'));
    expect((await world.anneal('runs', 'cancel', 'run_1', '--wait')).code).toBe(0);
    world.answers(started, run('QUARANTINED'), run('CANCELLED'));
    expect((await world.anneal('runs', 'cancel', 'run_1', '--wait')).code).toBe(0);
    world.answers(started, run('CANCELLED'));
    expect((await world.anneal(...create, '--wait')).code).toBe(1);
  });

  it('gives up after the seconds asked for, says so, and exits 1', async () => {
    world.answers(started, run('RUNNING'));
    const ended = await world.anneal(...create, '--wait=60');
    expect(ended.code).toBe(1);
    expect(ended.err).toContain('Still RUNNING after 60 s');
    expect(ended.err).toContain('50.9 s  RUNNING');
    expect(ended.err).not.toContain('61');
    expect(ended.err).toContain('next: anneal runs get run_1');
  });

  it('answers at once without --wait', async () => {
    world.answers(started);
    const answered = await world.anneal(...create);
    expect(answered).toMatchObject({ code: 0 });
    expect(world.ledger).toHaveLength(1);
    expect(answered.out).toContain('QUEUED');
    expect(answered.out.split('\n').at(-1)).toBe(`Temporal UI: ${ui}`);
    expect(answered.err).toBe('  next: anneal runs get run_1');
  });
});

describe('refusals', () => {
  const problem = {
    type: 'https://anneal.dev/errors/INVALID_REQUEST',
    title: 'invalid request',
    status: 400,
    code: 'INVALID_REQUEST',
    detail: 'Wrong fields of the request: 2.',
    next: 'Correct the fields.',
    requestId: 'req_1',
    allowed: ['a'],
    errors: [
      { pointer: '/trainer', code: 'invalid_type', detail: 'expected string' },
      { pointer: '', code: 'unknown_key' },
    ],
  };

  it('shows code, detail, every wrong field, further facts, next step and request id; exits 1', async () => {
    world.answers({ status: 400, body: problem });
    const refused = await world.anneal('runs', 'get', 'run_1');
    expect(refused).toEqual({
      code: 1,
      out: '',
      err: [
        'INVALID_REQUEST (400) Wrong fields of the request: 2.',
        '  /trainer  invalid_type: expected string',
        '  (body)  unknown_key',
        '  allowed: ["a"]',
        '  next: Correct the fields.',
        '  request: req_1',
      ].join('\n'),
    });
  });

  it('says which value of a field was probably meant', async () => {
    const detail = 'must be one of: logistic, gbt';
    const errors = [{ pointer: '/trainer', code: 'invalid_value', detail }];
    world.answers({ status: 400, body: { ...problem, errors } });
    const near = await world.anneal('runs', 'create', 'credit', '--set', 'trainer=gtb');
    expect(near.err).toContain(`${detail}. Did you mean gbt?`);
    const far = await world.anneal('runs', 'create', 'credit', '--set', 'trainer=forest');
    expect(far.err).not.toContain('Did you mean');
  });

  it('names the keys at hand that may do it', async () => {
    const body = { ...problem, code: 'FORBIDDEN', permission: 'approval:decide', errors: [] };
    world.answers({ status: 403, body });
    world.deps = { readKeys: async () => ({ admin: 'k', engineer: 'k', approver: 'k' }) };
    const refused = await world.anneal('runs', 'get', 'run_1', '--as', 'engineer');
    expect(refused.err.split('\n').at(-1)).toBe('  keys at hand that may: --as approver');
  });

  it('keeps the problem document whole in json', async () => {
    world.answers({ status: 400, body: problem });
    const refused = await world.anneal('--output', 'json', 'runs', 'get', 'run_1');
    expect(JSON.parse(refused.err)).toEqual(problem);
  });

  it('says how to start the API, and how to repeat safely, when nobody answers', async () => {
    const args = ['runs', 'cancel', 'run_1', '--api-url', 'http://127.0.0.1:9'];
    world.deps = { send: () => Promise.reject(new TypeError('fetch failed')) };
    const refused = await world.anneal(...args);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('--key minted-key');
    expect(refused.err).toContain('http://127.0.0.1:9 does not answer');
    expect(refused.err).toContain('npm start');
  });
});

describe('wrong use', () => {
  it.each([
    [['rusn', 'get', 'x'], 'Did you mean runs?'],
    [['runs', 'gte', 'x'], 'Did you mean get?'],
    [['runs', 'get', 'x', '--ouptut', 'json'], 'Did you mean --output?'],
    [['runs', 'get', 'x', '--bogus'], '--help shows the options and an example'],
    [['runs', 'get'], 'Missing: <id>. Usage: anneal runs get <id>'],
    [['runs', 'get', 'x', 'y'], 'too many arguments'],
    [['runs', 'create', 'credit'], 'give --file <file> or --set'],
    [['runs', 'create', 'credit'], '`anneal runs create --help` shows one'],
    [['runs', 'get', 'x', 'y'], '--help shows the options and an example'],
    [['runs', 'list', 'credit', '--state', 'X'], 'Allowed choices are RUNNING, FAILED'],
    [['runs', 'list', 'credit', '--state', 'runing'], 'Did you mean RUNNING?'],
    [['runs', 'list', 'credit', 'x'], 'anneal runs list <model> [--state <state>]'],
    [['runs', 'cancel', 'x', '--set', 'novalue'], 'write it as key=value'],
    [['runs', 'cancel', 'x', '--file', '/nowhere.json'], '/nowhere.json cannot be read (ENOENT)'],
    [['runs', 'create', 'm', '--set', 'trainer=a', '--wait=soon'], 'give seconds'],
    [['snapshots', 'create', 'loans'], 'Missing: --file <data file>.'],
  ])('%j exits 2 with the way out', async (args, hint) => {
    const refused = await world.anneal(...args);
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toContain(hint);
    expect(world.ledger).toEqual([]);
  });

  it('exits 0 for help and version', async () => {
    expect(await world.anneal('--version')).toEqual({ code: 0, out: '9.9.9', err: '' });
    const help = await world.anneal('runs', 'create', '--help');
    expect(help).toMatchObject({ code: 0, err: '' });
    expect(help.out).toContain('$ anneal runs create credit --file body.json --wait');
  });
});

describe('audit verify', () => {
  const verdict = {
    tenant: 'acme',
    status: 'intact',
    size: 9,
    verified: 9,
    leaves: 2,
    checkpoints: 1,
    witnessedTo: 8,
    durationMs: 3,
  };
  const broken = {
    ...verdict,
    status: 'broken',
    fault: { seq: 4, kind: 'edit', detail: 'entry 4 was changed' },
  };

  it('exits 0 only for an intact chain of the tenant that is meant', async () => {
    world.answers({ status: 200, body: verdict });
    const intact = await world.anneal('audit', 'verify', '--tenant', 'acme');
    expect(intact).toMatchObject({ code: 0 });
    expect(intact.out).toContain('INTACT  audit chain of acme\n  9 of 9 entries proved');
    expect((await world.anneal('audit', 'verify')).code).toBe(0);
    expect((await world.anneal('audit', 'verify', '--tenant', 'other')).code).toBe(1);
  });

  it('names the first bad entry and its kind, in both forms of output', async () => {
    world.answers({ status: 200, body: broken });
    const table = await world.anneal('audit', 'verify');
    expect(table.code).toBe(1);
    expect(table.out).toContain('first bad entry: 4 (edit)');
    const json = await world.anneal('audit', 'verify', '--output', 'json');
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toEqual(broken);
  });

  it('asks for the system chain by its name', async () => {
    world.answers({ status: 200, body: { ...verdict, tenant: 'system' } });
    expect((await world.anneal('audit', 'verify', '--tenant', 'system')).code).toBe(0);
    expect(world.ledger[0]?.url).toBe('/v1/audit:verify?chain=system');
  });
});

describe('provenance', () => {
  it('shows a link a line with what it is, its state, and whether its digest holds', async () => {
    const decision = { id: 'inf_1', at: 'now', state: 'SUCCEEDED', verified: true };
    const version = { model: 'credit', version: 2, assurance: 'APPROVED', verified: false };
    const evaluation = { id: 'evl_1', verdict: null, verified: true };
    const routing = { env: 'prod', epoch: 7, digest: 'sha256:1' };
    world.answers({ status: 200, body: { decision, routing, evaluation, version, run: null } });
    const shown = await world.anneal('decisions', 'provenance', 'inf_1');
    expect(shown.code).toBe(0);
    expect(shown.out).toMatch(/decision +│ inf_1 +│ SUCCEEDED │ holds/);
    expect(shown.out).toMatch(/routing +│ epoch 7 +│ +│ +│/);
    expect(shown.out).toMatch(/evaluation │ evl_1 +│ +│ holds/);
    expect(shown.out).toMatch(/version +│ credit v2 │ APPROVED +│ DOES NOT HOLD/);
    expect(shown.out).toMatch(/run +│ none/);
    const json = await world.anneal('decisions', 'provenance', 'inf_1', '--output', 'json');
    expect(JSON.parse(json.out)).toMatchObject({ routing });
  });
});
