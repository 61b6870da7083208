import type { Database, Tx } from '../../../src/adapters/postgres/database.js';
import type { Parts } from '../../../src/main/dependencies.js';

type Announce = (point: string) => Promise<unknown>;

/** What a change does last before it commits. */
const LAST_STATEMENT = 'audit_append';

/** A transaction that tells when its change is complete and not committed. */
function tellingTx(tx: Tx, complete: () => Promise<unknown>): Tx {
  return new Proxy(tx, {
    get: (target, name, receiver): unknown => {
      const value: unknown = Reflect.get(target, name, receiver);
      if (name !== '$queryRaw' || typeof value !== 'function') return value;
      return async (...of: unknown[]): Promise<unknown> => {
        const rows: unknown = await Reflect.apply(value, target, of);
        if (String((of[0] as { raw?: unknown } | undefined)?.raw).includes(LAST_STATEMENT))
          await complete();
        return rows;
      };
    },
  });
}

function databaseWithFailpoints(db: Database, process: string, announce: Announce): Database {
  return {
    ...db,
    withTenant: async (tenant, work) => {
      let changed = false;
      const done = await db.withTenant(tenant, (tx) =>
        work(
          tellingTx(tx, () => {
            changed = true;
            return announce(`${process}.before-commit`);
          }),
        ),
      );
      if (changed) await announce(`${process}.after-commit`);
      return done;
    },
    call: async (sql, values) => {
      const name = /inference_(admit|settle)\(/.exec(sql)?.[1];
      if (name === undefined) return db.call(sql, values);
      await announce(`${process}.before-${name}`);
      const rows = await db.call(sql, values);
      await announce(`${process}.after-${name}`);
      return rows;
    },
  };
}

/** Failpoints around every commit and every start of a run: what the process has done, and what nobody knows yet. */
export const partsWithFailpoints =
  (process: 'api' | 'worker', announce: Announce) =>
  (parts: Parts): Parts => ({
    ...parts,
    db: databaseWithFailpoints(parts.db, process, announce),
    starter: {
      ...parts.starter,
      wakeWorkflow: async (wake) => {
        await announce(`${process}.before-wake`);
        await parts.starter.wakeWorkflow(wake);
      },
      startWorkflow: async (tenant, start) => {
        await announce(`${process}.before-start`);
        await parts.starter.startWorkflow(tenant, start);
        await announce(`${process}.after-start`);
      },
    },
  });

/** Failpoints before each activity, and between its work and its report. */
export const activitiesWithFailpoints =
  (announce: Announce) =>
  <A extends object>(activities: A): A =>
    Object.fromEntries(
      (Object.entries(activities) as [string, (...of: unknown[]) => Promise<unknown>][]).map(
        ([name, activity]) => [
          name,
          async (...of: unknown[]) => {
            await announce('worker.activity-begins');
            const result = await activity(...of);
            await announce('worker.activity-done');
            return result;
          },
        ],
      ),
    ) as A;
