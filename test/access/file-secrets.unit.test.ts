import { createHmac } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  createApprovalSigner,
  createApprovalVerifier,
} from '../../src/adapters/secrets/approval-signature.js';
import { createFieldCipher, type FieldOwner } from '../../src/adapters/secrets/field-cipher.js';
import {
  createFileSecrets,
  createFileSigningSecrets,
} from '../../src/adapters/secrets/file-provider.js';
import { base32 } from '../../src/domain/base32.js';
import { subjectToken } from '../../src/domain/subject-token.js';

let folder: string;
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'anneal-keys-')), 'keys');
});
afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }));

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
const plain = (key: { reveal: () => Uint8Array }) => Buffer.from(key.reveal()).toString('hex');

test('keys are made on first use, in files that only their owner can read', async () => {
  const secrets = createFileSigningSecrets(folder);
  await secrets.pepper();
  await secrets.fieldKey('default');
  await secrets.pseudonymKey('default');
  await secrets.approvalPrivateKey();
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  );
  expect(files.map((file) => file.name).sort()).toEqual([
    'approval-v1.private.pem',
    'approval-v1.public.pem',
    'field-v1.key',
    'pepper-v1.key',
    'pseudonym-v1.key',
  ]);
  for (const file of files) expect(await modeOf(join(file.parentPath, file.name))).toBe(0o600);
  expect(await modeOf(folder)).toBe(0o700);
});

test('processes that begin together agree on one key, and a later one reads the same', async () => {
  const all = await Promise.all(
    Array.from({ length: 24 }, async () => {
      const secrets = createFileSigningSecrets(folder);
      const [pepper, field, approval] = await Promise.all([
        secrets.pepper(),
        secrets.fieldKey('default'),
        secrets.approvalPrivateKey(),
      ]);
      return [plain(pepper.key), plain(field.key), plain(approval.key)].join();
    }),
  );
  expect(new Set(all).size).toBe(1);
  expect(plain((await createFileSecrets(folder).pepper()).key)).toBe(all[0]?.split(',')[0]);
});

test('the newest version writes, an older one is still read, an unknown one is refused', async () => {
  const first = await createFileSecrets(folder).pepper();
  await writeFile(join(folder, 'pepper-v2.key'), 'ab'.repeat(32), { mode: 0o600 });
  const later = createFileSecrets(folder);
  expect((await later.pepper()).version).toBe(2);
  expect(plain((await later.pepper(1)).key)).toBe(plain(first.key));
  await expect(later.pepper(3)).rejects.toMatchObject({ code: 'INTERNAL' });
});

test('a key file that others can read is refused', async () => {
  await createFileSecrets(folder).pepper();
  await chmod(join(folder, 'pepper-v1.key'), 0o644);
  await expect(createFileSecrets(folder).pepper()).rejects.toMatchObject({ code: 'INTERNAL' });
});

test('tenants have keys of their own, and a tenant id is no path', async () => {
  const secrets = createFileSecrets(folder);
  const [a, b] = [await secrets.fieldKey('a'), await secrets.fieldKey('b')];
  expect(plain(a.key)).not.toBe(plain(b.key));
  await expect(secrets.fieldKey('../a')).rejects.toMatchObject({ code: 'INTERNAL' });
  await expect(secrets.approvalPublicKey('../pepper-v1')).rejects.toMatchObject({
    code: 'INTERNAL',
  });
});

test('a worker checks approvals and holds nothing that could make one', async () => {
  const api = createFileSigningSecrets(folder);
  const worker = createFileSecrets(folder);
  const signed = await createApprovalSigner(api)('the decision');
  const check = createApprovalVerifier(worker);
  expect(await check('the decision', signed)).toBe(true);
  expect(await check('another decision', signed)).toBe(false);
  const forged = { ...signed, signature: new Uint8Array(64) };
  expect(await check('the decision', forged)).toBe(false);
  expect(Object.keys(worker)).not.toContain('approvalPrivateKey');
});

const owner: FieldOwner = { tenant: 'a', table: 'inference', column: 'inputs', rowId: 'inf_1' };

test('a sealed field opens for its owner alone: tenant, table, column and row', async () => {
  const cipher = createFieldCipher(createFileSecrets(folder));
  const sealed = await cipher.encrypt(owner, 'income 50000');
  expect((await cipher.decrypt(owner, sealed)).toString()).toBe('income 50000');
  for (const wrong of [
    { tenant: 'b' },
    { table: 'x' },
    { column: 'outputs' },
    { rowId: 'inf_2' },
  ]) {
    await expect(cipher.decrypt({ ...owner, ...wrong }, sealed)).rejects.toMatchObject({
      code: 'INTERNAL',
    });
  }
});

test('a sealed field states version byte, key id, IV and tag, and no byte of it may change', async () => {
  const cipher = createFieldCipher(createFileSecrets(folder));
  const sealed = await cipher.encrypt(owner, 'canary');
  expect(sealed[0]).toBe(1);
  expect(sealed.toString('latin1', 2, 2 + (sealed[1] ?? 0))).toBe('field-v1');
  expect(sealed).toHaveLength(2 + 8 + 12 + 16 + 6);
  expect(sealed.includes('canary')).toBe(false);
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await expect(cipher.decrypt(owner, changed)).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(cipher.decrypt(owner, sealed.subarray(0, at))).rejects.toMatchObject({
      code: 'INTERNAL',
    });
  }
});

test('two sealings of one value differ, and an old key still opens what it sealed', async () => {
  const before = createFieldCipher(createFileSecrets(folder));
  const [one, two] = [await before.encrypt(owner, 'x'), await before.encrypt(owner, 'x')];
  expect(one).not.toEqual(two);
  await writeFile(join(folder, 'tenants/a/field-v2.key'), 'cd'.repeat(32), { mode: 0o600 });
  const after = createFieldCipher(createFileSecrets(folder));
  expect((await after.encrypt(owner, 'x')).toString('latin1', 2, 10)).toBe('field-v2');
  expect((await after.decrypt(owner, one)).toString()).toBe('x');
});

test('a subject token is the documented HMAC, one per person and tenant', async () => {
  const secrets = createFileSecrets(folder);
  const pseudonym = await secrets.pseudonymKey('a');
  const key = Buffer.from(
    (await readFile(join(folder, 'tenants/a/pseudonym-v1.key'), 'utf8')).trim(),
    'hex',
  );
  const mac = createHmac('sha256', key).update('subject\0customer-7').digest();
  const token = subjectToken(pseudonym, 'customer-7');
  expect(token).toBe(`p1_${base32(mac).slice(0, 26)}`);
  expect(token).toMatch(/^p1_[a-z2-7]{26}$/);
  expect(subjectToken(await secrets.pseudonymKey('b'), 'customer-7')).not.toBe(token);
});

test('a subject token is the same for both spellings of one identifier, and another one without the accent', async () => {
  const pseudonym = await createFileSecrets(folder).pseudonymKey('a');
  const tokens = ['Ren\u00e9e', 'Rene\u0301e', 'Renee'].map((name) =>
    subjectToken(pseudonym, name),
  );
  expect(tokens[1]).toBe(tokens[0]);
  expect(tokens[2]).not.toBe(tokens[0]);
});

test('base 32 agrees with RFC 4648', () => {
  const vectors = { '': '', f: 'my', fo: 'mzxq', foo: 'mzxw6', foob: 'mzxw6yq', fooba: 'mzxw6ytb' };
  for (const [text, expected] of Object.entries(vectors)) {
    expect(base32(Buffer.from(text))).toBe(expected);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(base32(bytes)).toHaveLength(Math.ceil((bytes.length * 8) / 5));
    }),
  );
});
