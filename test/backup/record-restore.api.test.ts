import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRestorationLog } from '../../src/adapters/backup/restoration-log.js';
import { readNamedArtifacts } from '../../src/adapters/postgres/named-artifacts.js';
import { recordRestore } from '../../src/adapters/postgres/record-restore.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let db: TestDatabase;
let folder: string;
beforeAll(async () => {
  db = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'anneal-restorations-'));
});
afterAll(async () => {
  await db.close();
  await rm(folder, { recursive: true });
});

const epochs = async () =>
  (await db.asSuperuser('select epoch, min_epoch as "minEpoch" from routing'))[0] as {
    epoch: number;
    minEpoch: number;
  };

/** What every restore of one backup finds: the database as it was, without what later lives wrote. */
async function asInBackup(epoch: number): Promise<void> {
  // Nobody may delete from it: a restore sets it back past every trigger.
  await db.asSuperuser('alter table routing_history disable trigger all');
  await db.asSuperuser('delete from routing_history');
  await db.asSuperuser(
    `insert into routing (tenant_id, env, kind, name, epoch, min_epoch, arms, salt, shadow)
     values ('acme', 'prod', 'model', 'loans', $1, 1, '[]', '', '[]')
     on conflict (tenant_id, env, kind, name) do update set epoch = $1, min_epoch = 1`,
    [epoch],
  );
}

const restore = async () => {
  const { reserveThousand } = createRestorationLog(folder);
  const facts = { backupId: 'bkp_1', stoppedAt: new Date().toISOString(), lost: [] };
  await recordRestore(db.adminUrl, facts, (newest) => reserveThousand('bkp_1', newest));
  return epochs();
};

describe('restores of the same backup', () => {
  it('[I4] raise epochs past every life after an earlier one: a process of the first passes no minimum of the second', async () => {
    await asInBackup(7);
    const first = await restore();
    expect(first).toEqual({ epoch: 1000, minEpoch: 1000 });
    // The first restored life moves on, as far as a thousand reaches.
    const outlived = first.epoch + 999;
    await asInBackup(7);
    const second = await restore();
    expect(second.minEpoch).toBeGreaterThan(outlived);
    expect(second.epoch).toBe(second.minEpoch);
    // A backup of the second life, restored, and then the first backup again.
    await asInBackup(second.epoch + 5);
    const third = await restore();
    expect(third.minEpoch).toBeGreaterThan(second.epoch + 999);
    await asInBackup(7);
    expect((await restore()).minEpoch).toBeGreaterThan(third.epoch + 999);
  });
});

/** Something for every column that must not be empty. */
const filler: Record<string, string> = {
  jsonb: "'{}'",
  ARRAY: "'{}'",
  uuid: 'gen_random_uuid()',
  bytea: "''",
  boolean: 'false',
  text: "'x'",
  'timestamp with time zone': 'now()',
};

/** A row of a table that says nothing but what is given. */
async function insert(table: string, given: Record<string, string>): Promise<void> {
  const columns = await db.asSuperuser(
    `select column_name as name, data_type as type from information_schema.columns
     where table_name = $1 and table_schema = 'public' and is_nullable = 'NO' and column_default is null`,
    [table],
  );
  const values = new Map(
    columns.map(({ name, type }) => [String(name), filler[String(type)] ?? '1']),
  );
  for (const [name, value] of Object.entries(given)) values.set(name, `'${value}'`);
  const names = [...values.keys()].join(', ');
  await db.asSuperuser(
    `insert into ${table} (${names}) values (${[...values.values()].join(', ')})`,
  );
}

describe('artifacts that rows name', () => {
  it('are found in every column that holds one, once each', async () => {
    const ref = (digit: string): string => `acme/sha256/${digit.repeat(64)}`;
    await insert('model_version', { artifact_ref: ref('1') });
    await insert('publication', { source_ref: ref('2') });
    const manifest = { parts: [{ ref: ref('3') }], profileRef: ref('4'), binsRef: ref('1') };
    await insert('snapshot', { manifest: JSON.stringify(manifest) });
    await insert('etl_fit', { artifact_ref: ref('5') });
    await insert('etl_generation', { embed_spec: JSON.stringify({ artifactRef: ref('5') }) });
    await insert('etl_change_event', { content_ref: ref('6') });
    await insert('etl_revision', { raw_ref: ref('7') });
    expect(await readNamedArtifacts(db.adminUrl)).toEqual(
      ['1', '2', '3', '4', '5', '6', '7'].map(ref),
    );
  });
});
