import { createAuthenticator, type AuthFailure } from '../../src/api/access/authenticate.js';
import { formatApiKey, hashApiKeySecret, parseApiKey } from '../../src/domain/access/api-key.js';
import type { KeyRecord } from '../../src/domain/access/key-record.js';
import type { Principal } from '../../src/domain/access/principal.js';
import { formatId } from '../../src/domain/ids.js';
import { Secret } from '../../src/domain/secrets.js';

const pepper = { version: 1, key: new Secret(new Uint8Array(32).fill(7)) };
const keyId = formatId('apiKey', 1, new Uint8Array(10));
const key = formatApiKey('dev', keyId, new Uint8Array(32).fill(1));
const stranger = formatApiKey('dev', formatId('apiKey', 2, new Uint8Array(10)), new Uint8Array(32));
const secretOf = (text: string) => parseApiKey(text)?.secret ?? '';

const record: KeyRecord = {
  tenant: 'default',
  keyId,
  principalId: 'prn_1',
  name: 'Ada',
  kind: 'person',
  env: 'dev',
  secretHmac: hashApiKeySecret(pepper, secretOf(key)),
  pepperVersion: 1,
  scopes: [],
  roles: ['ml-engineer'],
  groups: [],
  expiresAtMs: undefined,
  revokedAtMs: undefined,
  disabledAtMs: undefined,
};

/** An authenticator over one row that a test may change, a clock that it moves, and a count of look-ups. */
function stage() {
  const world = {
    row: record as KeyRecord | undefined,
    nowMs: 1_000_000,
    lookUps: 0,
    peppers: 0,
    notice: (_id: string): void => undefined,
    /** What a look-up waits for. */
    gate: Promise.resolve(),
  };
  const authenticate = createAuthenticator({
    findKey: async (id) => {
      world.lookUps++;
      const found = world.row?.keyId === id ? world.row : undefined;
      await world.gate;
      return found;
    },
    pepper: async () => {
      world.peppers++;
      return pepper;
    },
    subscribe: (forget) => {
      world.notice = forget;
    },
    nowMs: () => world.nowMs,
  });
  const ask = (text = key): Promise<Principal | AuthFailure> => authenticate(`Bearer ${text}`);
  return { world, authenticate, ask };
}

test('a valid key becomes its principal, with what its roles give', async () => {
  const { ask } = stage();
  expect(await ask()).toMatchObject({
    tenant: 'default',
    subject: 'prn_1',
    env: 'dev',
    via: `api-key:${keyId}`,
  });
});

test('a remembered key asks the store once, and again after at most five seconds', async () => {
  const { world, ask } = stage();
  for (let i = 0; i < 100; i++) await ask();
  expect(world.lookUps).toBe(1);
  world.nowMs += 5_000;
  await ask();
  expect(world.lookUps).toBe(2);
});

test('a notice of the key, of its owner, or of anything forgets it at once; another notice does not', async () => {
  const { world, ask } = stage();
  await ask();
  world.notice('key_other');
  await ask();
  expect(world.lookUps).toBe(1);
  for (const id of [keyId, 'prn_1', '']) {
    const before = world.lookUps;
    world.notice(id);
    await ask();
    expect(world.lookUps).toBe(before + 1);
  }
});

test('without any notice a revoked key is refused after the time to live', async () => {
  const { world, ask } = stage();
  await ask();
  world.row = { ...record, revokedAtMs: world.nowMs };
  world.nowMs += 5_000;
  expect(await ask()).toBe('revoked');
});

test('a look-up that began before a notice is not remembered', async () => {
  const { world, ask } = stage();
  let open = (): void => undefined;
  world.gate = new Promise((resolve) => (open = () => resolve()));
  const early = ask();
  world.row = { ...record, revokedAtMs: 1 };
  world.notice(keyId);
  const late = ask();
  open();
  expect(await early).toMatchObject({ subject: 'prn_1' });
  expect(await late).toBe('revoked');
  expect(await ask()).toBe('revoked');
});

test('requests that come together share one look-up', async () => {
  const { world, ask } = stage();
  await Promise.all(Array.from({ length: 50 }, () => ask()));
  expect(world.lookUps).toBe(1);
});

test('expiry counts on a remembered key too', async () => {
  const { world, ask } = stage();
  world.row = { ...record, expiresAtMs: world.nowMs + 100 };
  expect(await ask()).toMatchObject({ subject: 'prn_1' });
  world.nowMs += 100;
  expect(await ask()).toBe('expired');
});

test('an unknown id costs the same look-up and the same HMAC as a wrong secret', async () => {
  const { world, ask } = stage();
  const wrong = formatApiKey('dev', keyId, new Uint8Array(32).fill(9));
  expect(await ask(wrong)).toBe('wrong-secret');
  const spent = { lookUps: world.lookUps, peppers: world.peppers };
  expect(await ask(stranger)).toBe('unknown');
  expect({ lookUps: world.lookUps, peppers: world.peppers }).toEqual({
    lookUps: spent.lookUps * 2,
    peppers: spent.peppers * 2,
  });
});

test('a key does not work under the name of another environment', async () => {
  const { ask } = stage();
  expect(await ask(formatApiKey('prod', keyId, new Uint8Array(32).fill(1)))).toBe('wrong-secret');
});

test('a disabled owner is refused', async () => {
  const { world, ask } = stage();
  world.row = { ...record, disabledAtMs: 1 };
  expect(await ask()).toBe('disabled');
});

test('rights die with the grantor: roles are those of now, scopes narrow them', async () => {
  const { world, ask } = stage();
  world.row = { ...record, scopes: ['training:run', 'approval:decide'] };
  const before = (await ask()) as Principal;
  expect([...before.permissions]).toEqual(['training:run']);
  world.row = { ...world.row, roles: [] };
  world.notice('prn_1');
  const after = (await ask()) as Principal;
  expect([...after.permissions]).toEqual([]);
});

test('what is no bearer key is refused without asking the store', async () => {
  const { world, authenticate } = stage();
  expect(await authenticate(undefined)).toBe('missing');
  const malformed = [
    `Basic ${key}`,
    'Bearer',
    'Bearer ',
    `Bearer ${key} ${key}`,
    `Bearer ${key}x`,
    `Bearer ${'a'.repeat(10_000)}`,
    "Bearer anneal_dev_' or 1=1 --",
    `Bearer ${key.replace('_dev_', '_root_')}`,
  ];
  for (const header of malformed) expect(await authenticate(header)).toBe('malformed');
  expect(world.lookUps).toBe(0);
});

test('no more keys are remembered than allowed', async () => {
  const keys = Array.from({ length: 5 }, (_, i) => {
    const id = formatId('apiKey', i, new Uint8Array(10));
    return { id, text: formatApiKey('dev', id, new Uint8Array(32).fill(i)) };
  });
  let lookUps = 0;
  const authenticate = createAuthenticator({
    findKey: async (id) => {
      lookUps++;
      const text = keys.find((candidate) => candidate.id === id)?.text ?? '';
      return { ...record, keyId: id, secretHmac: hashApiKeySecret(pepper, secretOf(text)) };
    },
    pepper: async () => pepper,
    subscribe: () => undefined,
    nowMs: () => 0,
    maxEntries: 2,
  });
  for (const { text } of [...keys, ...keys]) await authenticate(`Bearer ${text}`);
  expect(lookUps).toBe(10);
});
