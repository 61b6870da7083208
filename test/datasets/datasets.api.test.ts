import {
  createDatasetsWorld,
  describeLoans,
  loanContract,
  terms,
  type DatasetsWorld,
} from './datasets-world.js';

describe('data sets and their contracts', () => {
  let world: DatasetsWorld;
  beforeAll(async () => {
    world = await createDatasetsWorld();
  }, 60_000);
  afterAll(() => world.close());

  it('creates a data set once, changes it afterwards, and lets a risk class only rise', async () => {
    const tenant = world.newTenant();
    const put = (body: object) => world.send('PUT', '/v1/datasets/loans', { tenant, body });
    expect((await put(terms)).status).toBe(201);
    const raised = await put({ ...terms, riskClass: 'high' });
    expect(raised).toMatchObject({ status: 200, body: { name: 'loans', riskClass: 'high' } });
    expect(await put({ ...terms, riskClass: 'low' })).toMatchObject({
      status: 409,
      body: { code: 'ILLEGAL_TRANSITION', errors: [{ pointer: '/riskClass' }] },
    });
    expect(await world.send('GET', '/v1/datasets/loans', { tenant })).toMatchObject({
      status: 200,
      body: { riskClass: 'high', purposes: ['lending', 'research'], epoch: 0 },
    });
  });

  it('refuses consent as a legal basis by name, as long as no consents are kept', async () => {
    const tenant = world.newTenant();
    const body = { ...terms, legalBasis: 'consent', purposes: [] };
    const refused = await world.send('PUT', '/v1/datasets/loans', { tenant, body });
    expect(refused).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST' } });
    const errors = refused.body['errors'] as { pointer: string }[];
    expect(errors.map(({ pointer }) => pointer).sort()).toEqual(['/legalBasis', '/purposes']);
  });

  it('names every wrong field of a contract', async () => {
    const tenant = world.newTenant();
    await describeLoans(world, tenant);
    const body = {
      ...loanContract,
      label: { field: 'result', positive: 'good' },
      subjectKeyField: 'customer',
    };
    const refused = await world.send('POST', '/v1/datasets/loans/contracts', { tenant, body });
    expect(refused).toMatchObject({ status: 422, body: { code: 'CONTRACT_INVALID' } });
    const errors = refused.body['errors'] as { pointer: string }[];
    expect(errors.map(({ pointer }) => pointer).sort()).toEqual([
      '/label/field',
      '/subjectKeyField',
    ]);
  });

  it('lists contracts newest first, page by page, and data sets by name', async () => {
    const tenant = world.newTenant();
    const first = await describeLoans(world, tenant);
    await describeLoans(world, tenant, { name: 'accounts' });
    const path = '/v1/datasets/loans/contracts';
    const second = await world.send('POST', path, { tenant, body: loanContract });
    const page = await world.send('GET', `${path}?limit=1`, { tenant });
    expect(page.body['items']).toMatchObject([{ id: second.body['id'] }]);
    const cursor = String(page.body['nextCursor']);
    const next = await world.send('GET', `${path}?limit=1&cursor=${cursor}`, { tenant });
    expect(next.body).toMatchObject({ items: [{ id: first }] });
    expect(next.body['nextCursor']).toBeUndefined();
    const one = await world.send('GET', `${path}/${first}`, { tenant });
    expect(one.body).toMatchObject({ id: first, contract: { keyFields: [] } });
    const all = await world.send('GET', '/v1/datasets', { tenant });
    expect(all.body['items']).toMatchObject([{ name: 'accounts' }, { name: 'loans' }]);
  });

  it('shows another tenant nothing, and lets readers write nothing', async () => {
    const tenant = world.newTenant();
    const contractId = await describeLoans(world, tenant);
    const other = world.newTenant();
    for (const path of ['/v1/datasets/loans', `/v1/datasets/loans/contracts/${contractId}`])
      expect((await world.send('GET', path, { tenant: other })).status).toBe(404);
    const viewer = { tenant, roles: ['viewer' as const] };
    const written = await world.send('PUT', '/v1/datasets/loans', { ...viewer, body: terms });
    expect(written).toMatchObject({ status: 403, body: { permission: 'datasets:write' } });
    expect((await world.send('GET', '/v1/datasets/loans', viewer)).status).toBe(200);
  });
});
