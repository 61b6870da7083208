import { createEtlWorld, createSource, type EtlWorld } from './etl-world.js';

let world: EtlWorld;
beforeAll(async () => {
  world = await createEtlWorld();
}, 60_000);
afterAll(() => world.close());

test('a source is not told that its bytes are dropped or kept where they are not', async () => {
  const tenant = world.newTenant();
  const { collectionId } = await createSource(world, tenant, { kind: 'upload' });
  const make = (name: string, more: object) =>
    world.send('POST /v1/sources', {
      tenant,
      body: { collectionId, name, acl: ['group:staff'], ...more },
    });
  const refused = {
    status: 422,
    body: { code: 'SOURCE_CONFIG_INVALID', errors: [{ pointer: '/retainRaw' }] },
  };
  expect(await make('a', { kind: 'upload', retainRaw: false })).toMatchObject(refused);
  expect(await make('b', { kind: 'webhook', retainRaw: false })).toMatchObject(refused);
  const folder = { kind: 'folder', config: { path: '/allowed' } };
  expect(await make('c', { ...folder, retainRaw: true })).toMatchObject(refused);
  const kept = { status: 201, body: { retainRaw: true } };
  expect(await make('d', { kind: 'upload', retainRaw: true })).toMatchObject(kept);
  expect(await make('e', folder)).toMatchObject({ status: 201, body: { retainRaw: false } });
});
