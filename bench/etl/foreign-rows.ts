import { join } from 'node:path';
import type { Table } from '@lancedb/lancedb';
import { loadLancedb } from '../../src/adapters/lancedb/load-lancedb.js';
import type { SourceState } from './corpus.js';
import { Crash, type HeldChunk, type StoreMeter } from './engine.js';

/** A row as the other sides keep it. */
export interface ForeignRow {
  id: string;
  document: string;
  text: string;
  acl: string;
  embedder: SourceState['embedder'];
  vector: Float32Array;
}

/** A store of the other sides. */
export interface ForeignRows {
  add: (rows: ForeignRow[]) => Promise<void>;
  removeIds: (ids: string[]) => Promise<void>;
  removeDocument: (document: string) => Promise<void>;
  held: () => Promise<HeldChunk[]>;
  clear: () => Promise<void>;
  close: () => Promise<void>;
}

/** Adds rows and stops where the run is to crash: what was added before stays. */
async function addOrCrash(
  meter: StoreMeter,
  rows: ForeignRow[],
  add: (rows: ForeignRow[]) => Promise<void>,
): Promise<void> {
  const { crash } = meter;
  const taken = crash === 'half' ? rows.slice(0, rows.length / 2) : rows;
  if (taken.length > 0) await add(taken);
  meter.writes += taken.length;
  if (crash === undefined) return;
  meter.crash = undefined;
  throw new Crash('after rows were added');
}

const heldOf = ({ document, text, acl, embedder }: ForeignRow): HeldChunk => ({
  document,
  text,
  acl,
  embedder,
});

/** Rows in memory: for the engines alone. */
export function memoryRows(meter: StoreMeter): ForeignRows {
  const rows = new Map<string, ForeignRow>();
  const byDocument = new Map<string, Set<string>>();
  const remove = (id: string): void => {
    const row = rows.get(id);
    if (row === undefined) return;
    rows.delete(id);
    byDocument.get(row.document)?.delete(id);
    meter.writes += 1;
  };
  return {
    add: (added) =>
      addOrCrash(meter, added, async (taken) => {
        for (const row of taken) {
          rows.set(row.id, row);
          const ids = byDocument.get(row.document) ?? new Set();
          byDocument.set(row.document, ids.add(row.id));
        }
      }),
    removeIds: async (ids) => ids.forEach(remove),
    removeDocument: async (document) => [...(byDocument.get(document) ?? [])].forEach(remove),
    held: async () => [...rows.values()].map(heldOf),
    clear: async () => {
      rows.clear();
      byDocument.clear();
    },
    close: async () => undefined,
  };
}

const quoted = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/**
 * Rows in a LanceDB table, as an application keeps them: written by id where ids come again (LangChain.js), appended
 * where they do not (LlamaIndex.TS), deleted by id or by document.
 */
export async function lanceRows(
  folder: string,
  meter: StoreMeter,
  idsComeAgain: boolean,
): Promise<ForeignRows> {
  const { lance, arrow } = await loadLancedb();
  const connection = await lance.connect(join(folder, 'rows'));
  const field = (name: string) => new arrow.Field(name, new arrow.Utf8(), false);
  const vector = new arrow.FixedSizeList(384, new arrow.Field('item', new arrow.Float32(), true));
  const schema = new arrow.Schema([
    ...['id', 'document', 'text', 'acl', 'embedder'].map(field),
    new arrow.Field('vector', vector, false),
  ]);
  let table: Table = await connection.createEmptyTable('rows', schema, { existOk: true });
  return {
    add: (added) =>
      addOrCrash(meter, added, async (taken) => {
        const data = taken as unknown as Record<string, unknown>[];
        if (!idsComeAgain) await table.add(data);
        else
          await table
            .mergeInsert('id')
            .whenMatchedUpdateAll()
            .whenNotMatchedInsertAll()
            .execute(data);
      }),
    removeIds: async (ids) => {
      if (ids.length === 0) return;
      const { numDeletedRows } = await table.delete(`id IN (${ids.map(quoted).join(',')})`);
      meter.writes += numDeletedRows;
    },
    removeDocument: async (document) => {
      const { numDeletedRows } = await table.delete(`document = ${quoted(document)}`);
      meter.writes += numDeletedRows;
    },
    held: async () => {
      const columns = ['document', 'text', 'acl', 'embedder'];
      const found = (await table.query().select(columns).toArray()) as ForeignRow[];
      return found.map(heldOf);
    },
    clear: async () => {
      await connection.dropTable('rows');
      table = await connection.createEmptyTable('rows', schema);
    },
    close: async () => {
      table.close();
      connection.close();
    },
  };
}
