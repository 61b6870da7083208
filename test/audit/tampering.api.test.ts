import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createVerifyAudit } from '../../src/activities/audit/index.js';
import { createCheckpointFile } from '../../src/adapters/checkpoint-file/checkpoint-file.js';
import { createAuditStore } from '../../src/adapters/postgres/audit.js';
import type { ChainRow, Checkpoint } from '../../src/domain/audit/chain.js';
import { sealOf } from '../../src/domain/audit/chain.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { checkpointAt, linkAfter } from './chain-builder.js';

// Whoever owns the server can switch triggers off and write what it likes: these tests do, row by row, and the verifier
// has to name what was done from the outside.

let database: TestDatabase;
let folder: string;
let count = 0;
const actor = { subject: 'prn_1', kind: 'person' as const, roles: [], via: 'test' };

beforeAll(async () => {
  database = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'anneal-audit-'));
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

const SIZE = 12;
const SEALED_AT = 7;

/** A tenant with an honest chain of {@link SIZE} entries, the seventh of which seals four leaves. */
async function honestChain() {
  const tenant = `chain-${++count}`;
  const api = createAuditStore(database.api);
  const worker = createAuditStore(database.worker);
  const append = (i: number) =>
    api.recordRefusal(
      { tenant, actor },
      { action: 'test.done', resource: { type: 'thing', id: `${i}` } },
    );
  for (let i = 1; i < SEALED_AT; i++) await append(i);
  for (let i = 0; i < 4; i++) {
    await database.worker.withTenant(
      tenant,
      (tx) => tx.$executeRaw`insert into audit_leaf (tenant_id, leaf_id, kind, digest)
        values (${tenant}, ${`lef_${i}`}, 'decision', ${Buffer.from(`digest ${i}`)})`,
    );
  }
  const leaves = await worker.openLeaves(tenant, 10);
  const ids = leaves.map(({ leafId }) => leafId);
  expect(await worker.seal(tenant, sealOf(leaves), ids)).toBe(true);
  for (let i = SEALED_AT + 1; i <= SIZE; i++) await append(i);
  const file = createCheckpointFile(join(folder, tenant));
  const verify = createVerifyAudit({ ...api, readCheckpoints: file.read });
  return {
    tenant,
    file,
    rows: async () => (await api.readPage(tenant, 1, SIZE)).rows,
    verdict: () => verify(tenant, new AbortController().signal),
    fault: async () => {
      const { fault } = await verify(tenant, new AbortController().signal);
      return fault === undefined ? undefined : { seq: fault.seq, kind: fault.kind };
    },
  };
}

/** Statements as superuser with every trigger off, `$1` being the tenant. */
async function tamper(tenant: string, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  try {
    await client.query(`set session_replication_role = 'replica'`);
    for (const sql of statements) await client.query(sql, [tenant]);
  } finally {
    await client.end();
  }
}

test('an honest chain verifies with all its entries and leaves', async () => {
  const chain = await honestChain();
  expect(await chain.verdict()).toMatchObject({
    status: 'intact',
    size: SIZE,
    verified: SIZE,
    leaves: 4,
  });
});

const row = (seq: number) => `where tenant_id = $1 and seq = ${seq}`;
const cases: [string, string[], { seq: number; kind: string }][] = [
  [
    'a changed entry',
    [`update audit_entry set entry = replace(entry, 'prn_1', 'prn_2') ${row(5)}`],
    { seq: 5, kind: 'edit' },
  ],
  [
    'a changed entry with its own hash mended',
    [
      `update audit_entry set entry = replace(entry, 'prn_1', 'prn_2') ${row(5)}`,
      `update audit_entry set entry_hash = sha256(convert_to(entry, 'UTF8')) ${row(5)}`,
    ],
    { seq: 5, kind: 'edit' },
  ],
  [
    'a changed entry with every hash of its own row mended',
    [
      `update audit_entry set entry = replace(entry, 'prn_1', 'prn_2') ${row(5)}`,
      `update audit_entry set entry_hash = sha256(convert_to(entry, 'UTF8')) ${row(5)}`,
      `update audit_entry set hash = sha256(prev_hash || int8send(seq) || int8send(at_micros) || entry_hash) ${row(5)}`,
    ],
    { seq: 5, kind: 'edit' },
  ],
  [
    'a changed time',
    [`update audit_entry set at_micros = at_micros - 1 ${row(3)}`],
    { seq: 3, kind: 'edit' },
  ],
  [
    'an entry made no JSON',
    [`update audit_entry set entry = 'gone' ${row(2)}`],
    { seq: 2, kind: 'edit' },
  ],
  [
    'a changed last entry',
    [`update audit_entry set entry = 'x' ${row(SIZE)}`],
    { seq: SIZE, kind: 'edit' },
  ],
  ['a deleted entry', [`delete from audit_entry ${row(5)}`], { seq: 5, kind: 'delete' }],
  ['a deleted first entry', [`delete from audit_entry ${row(1)}`], { seq: 1, kind: 'delete' }],
  [
    'a deleted entry with the later ones renumbered',
    [
      `delete from audit_entry ${row(5)}`,
      `update audit_entry set seq = -seq where tenant_id = $1 and seq > 5`,
      `update audit_entry set seq = -seq - 1 where tenant_id = $1 and seq < 0`,
      `update audit_head set seq = seq - 1 where tenant_id = $1`,
    ],
    { seq: 5, kind: 'delete' },
  ],
  [
    'two entries that changed places',
    [
      `update audit_entry set seq = 1000 ${row(4)}`,
      `update audit_entry set seq = 4 ${row(9)}`,
      `update audit_entry set seq = 9 ${row(1000)}`,
    ],
    { seq: 4, kind: 'reorder' },
  ],
  [
    'a cut end',
    [`delete from audit_entry where tenant_id = $1 and seq > 8`],
    { seq: 9, kind: 'truncate' },
  ],
  [
    'an emptied chain',
    [`delete from audit_entry where tenant_id = $1`],
    { seq: 1, kind: 'truncate' },
  ],
  [
    'an edited leaf',
    [`update audit_leaf set digest = '\\x00' where tenant_id = $1 and leaf_id = 'lef_2'`],
    { seq: SEALED_AT, kind: 'edit' },
  ],
  [
    'a deleted leaf',
    [`delete from audit_leaf where tenant_id = $1 and leaf_id = 'lef_2'`],
    { seq: SEALED_AT, kind: 'delete' },
  ],
  [
    'a leaf opened again',
    [`update audit_leaf set sealed_seq = null where tenant_id = $1 and leaf_id = 'lef_0'`],
    { seq: SEALED_AT, kind: 'delete' },
  ],
  [
    'a leaf slipped under a seal',
    [
      `insert into audit_leaf (tenant_id, leaf_id, kind, digest, sealed_seq)
       values ($1, 'lef_new', 'decision', '\\x00', ${SEALED_AT})`,
    ],
    { seq: SEALED_AT, kind: 'edit' },
  ],
];
test.each(cases)(
  '[D26] %s is named by its first bad sequence and its kind',
  async (_what, sql, fault) => {
    const chain = await honestChain();
    await tamper(chain.tenant, ...sql);
    expect(await chain.fault()).toEqual(fault);
  },
);

/** Rewrites the chain from one sequence on, whole in itself, head included. */
async function rewriteFrom(tenant: string, from: number, rows: ChainRow[]): Promise<void> {
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  await client.query(`set session_replication_role = 'replica'`);
  let before = rows[from - 2];
  for (const { entry } of rows.slice(from - 1)) {
    before = linkAfter(tenant, before, entry.replace('prn_1', 'prn_2'));
    await client.query(
      `update audit_entry set entry = $3, at_micros = $4, entry_hash = $5, prev_hash = $6, hash = $7
       where tenant_id = $1 and seq = $2`,
      [
        tenant,
        before.seq,
        before.entry,
        `${before.atMicros}`,
        before.entryHash,
        before.prevHash,
        before.hash,
      ],
    );
    await client.query('update audit_head set hash = $2 where tenant_id = $1', [
      tenant,
      before.hash,
    ]);
  }
  await client.end();
}

test('[D26] a rewritten end is whole in itself and is a fork against the checkpoints outside', async () => {
  const chain = await honestChain();
  const rows = await chain.rows();
  const witnessed = [4, 8, 12].flatMap((size): Checkpoint[] => {
    const found = rows[size - 1];
    return found === undefined ? [] : [checkpointAt(chain.tenant, found)];
  });
  await rewriteFrom(chain.tenant, 8, rows);
  // Without a witness nothing can be seen: that is why there are checkpoints.
  expect(await chain.fault()).toBeUndefined();
  await chain.file.append(witnessed);
  expect(await chain.verdict()).toMatchObject({
    status: 'broken',
    witnessedTo: 4,
    fault: { seq: 8, kind: 'fork' },
  });
});

test('[D26] a cut end with a mended head is a truncation against a checkpoint', async () => {
  const chain = await honestChain();
  const rows = await chain.rows();
  const [last, kept] = [rows[SIZE - 1], rows[7]];
  if (last === undefined || kept === undefined) throw new Error('rows');
  await chain.file.append([checkpointAt(chain.tenant, last)]);
  await tamper(
    chain.tenant,
    'delete from audit_entry where tenant_id = $1 and seq > 8',
    `update audit_head set seq = 8, hash = '\\x${Buffer.from(kept.hash).toString('hex')}' where tenant_id = $1`,
  );
  expect(await chain.fault()).toEqual({ seq: 9, kind: 'truncate' });
});
