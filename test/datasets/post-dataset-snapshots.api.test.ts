import { randomUUID } from 'node:crypto';
import {
  createDatasetsWorld,
  csv,
  describeLoans,
  loans,
  type Answer,
  type DatasetsWorld,
} from './datasets-world.js';

const MIB = 1024 * 1024;

function* zeros(mib: number): Generator<Buffer> {
  const chunk = Buffer.alloc(MIB);
  for (let i = 0; i < mib; i++) yield chunk;
}

const pointersOf = ({ body }: Answer): string[] =>
  ((body['errors'] ?? []) as { pointer: string }[]).map(({ pointer }) => pointer);

describe('uploads', () => {
  let world: DatasetsWorld;
  let tenant: string;
  beforeAll(async () => {
    world = await createDatasetsWorld();
  }, 60_000);
  afterAll(() => world.close());
  beforeEach(async () => {
    tenant = world.newTenant();
    await describeLoans(world, tenant);
  });

  /** Nothing of a refused upload is left: no publication, no intent, no byte. */
  const expectNothingLeft = async () => {
    const listed = await world.send('GET', '/v1/publications', { tenant });
    expect(listed.body['items']).toEqual([]);
    expect(world.started.filter(({ input }) => input.tenant === tenant)).toEqual([]);
    expect(await world.storedFiles(tenant)).toEqual([]);
  };

  const badFiles: [
    string,
    { options?: object; file: string; code: string; pointers?: string[] },
  ][] = [
    ['without a byte', { file: '', code: 'DATASET_EMPTY' }],
    ['with a header and no row', { file: 'id,income,outcome\n', code: 'DATASET_EMPTY' }],
    [
      'with ragged rows',
      {
        file: 'id,income,outcome\nc1,5,good\nc2,7\nc3,8,bad,extra\n',
        code: 'DATASET_UNREADABLE',
        pointers: ['/rows/2', '/rows/3'],
      },
    ],
    ['with another delimiter', { file: loans(5).replaceAll(',', ';'), code: 'DATASET_UNREADABLE' }],
    [
      'with another delimiter and no header',
      {
        options: { source: { format: 'csv', header: false } },
        file: 'c1;5;good\nc2;7;bad\n',
        code: 'DATASET_UNREADABLE',
      },
    ],
    [
      'without the label column',
      {
        file: 'id,income\nc1,5\n',
        code: 'DATASET_UNREADABLE',
        pointers: ['/columns/outcome'],
      },
    ],
    [
      'that is no Parquet',
      { options: { source: { format: 'parquet' } }, file: loans(3), code: 'DATASET_UNREADABLE' },
    ],
    [
      'with another digest than named',
      {
        options: { source: { format: 'csv', digest: `sha256:${'0'.repeat(64)}` } },
        file: loans(3),
        code: 'SOURCE_DIGEST_MISMATCH',
      },
    ],
  ];
  it.each(badFiles)('refuses a file %s and keeps nothing of it', async (_name, bad) => {
    const answer = await world.upload('loans', { tenant }, { options: csv, ...bad });
    expect(answer).toMatchObject({ status: 422, body: { code: bad.code } });
    if (bad.pointers) expect(pointersOf(answer)).toEqual(bad.pointers);
    await expectNothingLeft();
  });

  const badOptions: [string, unknown, { status: number; code: string; pointers: string[] }][] = [
    ['no JSON', '{', { status: 400, code: 'INVALID_REQUEST', pointers: ['/options'] }],
    [
      'two wrong fields and an unknown one',
      { source: { format: 'xls', delimiter: ';;' }, maxRejectShareBp: 10_001, color: 1 },
      {
        status: 400,
        code: 'INVALID_REQUEST',
        pointers: [
          '/options/source/format',
          '/options/source/delimiter',
          '/options/maxRejectShareBp',
          '/options/color',
        ],
      },
    ],
    [
      'an unknown contract',
      { ...csv, contractId: 'con_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      { status: 422, code: 'CONTRACT_REQUIRED', pointers: ['/options/contractId'] },
    ],
    [
      'a purpose that the data set does not have',
      { ...csv, purposes: ['lending', 'marketing'] },
      { status: 403, code: 'PURPOSE_DENIED', pointers: ['/options/purposes/1'] },
    ],
    [
      'personal fields that the contract does not know',
      { ...csv, pii: { fields: ['phone', 'outcome'], action: 'drop' } },
      {
        status: 400,
        code: 'INVALID_REQUEST',
        pointers: ['/options/pii/fields/0', '/options/pii/fields/1'],
      },
    ],
  ];
  it.each(badOptions)('refuses options with %s by pointer', async (_name, options, expected) => {
    const answer = await world.upload('loans', { tenant }, { options, file: loans(3) });
    const { status, code, pointers } = expected;
    expect(answer).toMatchObject({ status, body: { code } });
    expect(pointersOf(answer)).toEqual(pointers);
    await expectNothingLeft();
  });

  it('refuses a form without options, without a file, and a body that is no form', async () => {
    const noOptions = await world.upload('loans', { tenant }, { file: loans(3) });
    expect([noOptions.status, pointersOf(noOptions)]).toEqual([400, ['/options']]);
    const noFile = await world.upload('loans', { tenant }, { options: csv });
    expect([noFile.status, pointersOf(noFile)]).toEqual([400, ['/file']]);
    const path = '/v1/datasets/loans/snapshots';
    const noForm = await world.send('POST', path, { tenant, body: csv });
    expect(noForm).toMatchObject({ status: 415, body: { code: 'UNSUPPORTED_MEDIA_TYPE' } });
    const unknown = await world.upload('nothing', { tenant }, { options: csv, file: loans(3) });
    expect(unknown).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
    await expectNothingLeft();
  });

  it('stops at the limit of a file of 300 MB that does not say how long it is', async () => {
    const answer = await world.stream('loans', { tenant }, { options: csv, chunks: zeros(300) });
    expect(answer).toMatchObject({
      status: 413,
      body: { code: 'PAYLOAD_TOO_LARGE', limitBytes: 256 * MIB },
    });
    expect(answer.sentBytes).toBeGreaterThanOrEqual(256 * MIB);
    await expectNothingLeft();
  }, 60_000);

  it('refuses a file of 300 MB that says so before it is sent', async () => {
    const contentLength = 300 * MIB;
    const form = { options: csv, chunks: zeros(299), contentLength };
    const answer = await world.stream('loans', { tenant }, form);
    expect(answer).toMatchObject({ status: 413, body: { code: 'PAYLOAD_TOO_LARGE' } });
    expect(answer.sentBytes).toBeLessThan(256 * MIB);
    await expectNothingLeft();
  }, 60_000);

  it('answers the same key and file with the same publication, and another file with 422', async () => {
    const idempotencyKey = randomUUID();
    const who = { tenant, idempotencyKey };
    const first = await world.upload('loans', who, { options: csv, file: loans(20) });
    expect(first).toMatchObject({ status: 202, body: { status: 'RECEIVED' } });
    const stored = await world.storedFiles(tenant);
    expect(stored).toHaveLength(1);
    const again = await world.upload('loans', who, { options: csv, file: loans(20) });
    expect(again).toEqual(first);
    const other = await world.upload('loans', who, { options: csv, file: loans(21) });
    expect(other).toMatchObject({ status: 422, body: { code: 'IDEMPOTENCY_MISMATCH' } });
    const options = { ...csv, maxRejectShareBp: 300 };
    const changed = await world.upload('loans', who, { options, file: loans(20) });
    expect(changed).toMatchObject({ status: 422, body: { code: 'IDEMPOTENCY_MISMATCH' } });
    expect(await world.storedFiles(tenant)).toEqual(stored);
    const starts = world.started.filter(({ input }) => input.tenant === tenant);
    expect(starts).toHaveLength(1);
  });

  it('takes the newest contract and all purposes by default, and says so', async () => {
    const newest = await world.send('POST', '/v1/datasets/loans/contracts', {
      tenant,
      body: {
        fields: [{ name: 'outcome', type: 'boolean' }],
        label: { field: 'outcome', positive: true },
      },
    });
    const file = 'outcome\ntrue\nfalse\n';
    const { body } = await world.upload('loans', { tenant }, { options: csv, file });
    const read = await world.send('GET', `/v1/publications/${String(body['id'])}`, { tenant });
    expect(read.body).toMatchObject({
      state: 'RECEIVED',
      plan: {
        contractId: newest.body['id'],
        purposes: ['lending', 'research'],
        maxRejectShareBp: 200,
      },
      source: { sizeBytes: file.length },
    });
    const foreign = world.newTenant();
    const path = `/v1/publications/${String(body['id'])}`;
    expect((await world.send('GET', path, { tenant: foreign })).status).toBe(404);
  });

  it('lets nobody decide on a batch that is not quarantined, and a steward cancel it', async () => {
    const sent = await world.upload('loans', { tenant }, { options: csv, file: loans(5) });
    const path = `/v1/publications/${String(sent.body['id'])}`;
    const body = { reason: 'looks fine' };
    expect(await world.send('POST', `${path}:release`, { tenant, body })).toMatchObject({
      status: 409,
      body: { code: 'ILLEGAL_TRANSITION', from: 'RECEIVED', to: 'PUBLISHED' },
    });
    const engineer = { tenant, roles: ['ml-engineer' as const], body };
    expect((await world.send('POST', `${path}:cancel`, engineer)).status).toBe(403);
    expect((await world.send('POST', `${path}:cancel`, { tenant, body })).status).toBe(202);
    expect((await world.send('GET', path, { tenant })).body).toMatchObject({
      state: 'RECEIVED',
      cancel: { by: 'prn_steward', reason: 'looks fine' },
    });
    expect(world.woken.at(-1)?.workflowId).toBe(`snapshot/${tenant}/${String(sent.body['id'])}`);
  });
});
