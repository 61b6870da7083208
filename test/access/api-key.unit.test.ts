import { inspect } from 'node:util';
import fc from 'fast-check';
import {
  apiKeyPrefix,
  formatApiKey,
  hashApiKeySecret,
  parseApiKey,
} from '../../src/domain/access/api-key.js';
import { envSchema, formatId } from '../../src/domain/ids.js';
import { Secret } from '../../src/domain/secrets.js';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const anyKey = fc
  .record({
    env: fc.constantFrom(...envSchema.options),
    timeMs: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    random: bytes(10),
    secret: bytes(32),
  })
  .map(({ env, timeMs, random, secret }) => {
    const keyId = formatId('apiKey', timeMs, random);
    return { env, keyId, text: formatApiKey(env, keyId, secret) };
  });

test('a key carries its environment and its id, and reads back as what it was made of', () => {
  fc.assert(
    fc.property(anyKey, ({ env, keyId, text }) => {
      const parsed = parseApiKey(text);
      expect(parsed).toMatchObject({ env, keyId });
      expect(text.startsWith(`${apiKeyPrefix(env, keyId)}_${parsed?.secret}_`)).toBe(true);
    }),
  );
});

test('a changed character is refused before anything is looked up', () => {
  fc.assert(
    fc.property(anyKey, fc.nat(), fc.constantFrom(...'abcXYZ012_'), ({ text }, at, character) => {
      const place = at % text.length;
      const changed = text.slice(0, place) + character + text.slice(place + 1);
      expect(changed === text || parseApiKey(changed) === undefined).toBe(true);
    }),
  );
});

test('a key needs 32 random bytes', () => {
  const keyId = formatId('apiKey', 1, new Uint8Array(10));
  expect(() => formatApiKey('dev', keyId, new Uint8Array(31))).toThrow(RangeError);
});

test('the stored hash depends on the pepper', () => {
  const pepper = (fill: number) => ({ version: 1, key: new Secret(new Uint8Array(32).fill(fill)) });
  expect(hashApiKeySecret(pepper(1), 's')).toHaveLength(32);
  expect(hashApiKeySecret(pepper(1), 's')).not.toEqual(hashApiKeySecret(pepper(2), 's'));
});

test('a secret shows itself in no text, JSON or inspection', () => {
  const secret = new Secret(Buffer.from('canary-value'));
  const shown = [
    String(secret),
    JSON.stringify({ secret }),
    inspect({ secret }, { showHidden: true }),
  ];
  for (const text of shown) {
    expect(text).toContain('[secret]');
    expect(text).not.toContain('canary');
    expect(text).not.toContain(Buffer.from('canary').toString('hex'));
  }
  expect(Buffer.from(secret.reveal()).toString()).toBe('canary-value');
});
