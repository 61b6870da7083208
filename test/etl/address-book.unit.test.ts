import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection, Table } from '@lancedb/lancedb';
import { AddressBook, AddressBooks } from '../../src/adapters/lancedb/address-book.js';
import { bigintsOf, rowsToArrow, stringsOf } from '../../src/adapters/lancedb/arrow-rows.js';
import { connectFolder, createTable } from '../../src/adapters/lancedb/generation-table.js';
import { loadLancedb } from '../../src/adapters/lancedb/load-lancedb.js';
import { rowsOf } from './sink-rows.js';

const ROWS = 400;

let folder: string;
let connection: Connection;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anneal-book-'));
  connection = await connectFolder(folder);
});
afterAll(async () => {
  connection.close();
  await rm(folder, { recursive: true, force: true });
});

/** A table of rows without vectors, in two files, and the true row of every address. */
async function tableOf(): Promise<{ table: Table; truth: [bigint, string][] }> {
  const { arrow } = await loadLancedb();
  const { table } = await createTable(connection, 0);
  for (let at = 0; at < ROWS; at += ROWS / 2)
    await table.add(
      rowsToArrow(
        arrow,
        rowsOf(at, at + ROWS / 2, () => ({ vector: new Float32Array() })),
        0,
      ),
    );
  const all = await table.query().withRowId().select(['rowId']).toArrow();
  const addresses = bigintsOf(all, '_rowid');
  const truth = [...stringsOf(all, 'rowId')].map((id, at): [bigint, string] => [
    addresses[at] ?? 0n,
    id,
  ]);
  return { table, truth };
}

const namesOf = async (book: AddressBook, table: Table, addresses: readonly bigint[]) =>
  (await book.find(table, addresses)).map((row) => row?.rowId);

it('the first search that knows too little reads the ids of the whole table, and names the right rows before and after', async () => {
  const { table, truth } = await tableOf();
  const book = new AddressBook(new AddressBooks());
  const few = truth.slice(10, 15);
  expect(
    await namesOf(
      book,
      table,
      few.map(([address]) => address),
    ),
  ).toEqual(few.map(([, id]) => id));
  await book.settled();
  expect(book.size).toBe(few.length);
  const many = truth.slice(100, 150).reverse();
  expect(
    await namesOf(
      book,
      table,
      many.map(([address]) => address),
    ),
  ).toEqual(many.map(([, id]) => id));
  await book.settled();
  expect(book.size).toBe(ROWS);
  expect(
    await namesOf(
      book,
      table,
      truth.map(([address]) => address),
    ),
  ).toEqual(truth.map(([, id]) => id));
  table.close();
});

it('a table that is too large for the room is read by the hit, and the book used least lately makes room', async () => {
  const { table, truth } = await tableOf();
  const books = new AddressBooks(ROWS);
  const [first, second] = [new AddressBook(books), new AddressBook(books)];
  const ask = async (book: AddressBook, from: number, to: number) => {
    const asked = truth.slice(from, to);
    const found = await namesOf(
      book,
      table,
      asked.map(([address]) => address),
    );
    expect(found).toEqual(asked.map(([, id]) => id));
    await book.settled();
  };
  await ask(first, 0, 200);
  expect(first.size).toBe(200);
  await ask(second, 0, 150);
  expect([first.size, second.size]).toEqual([200, 150]);
  await ask(second, 150, 300);
  expect([first.size, second.size]).toEqual([0, 300]);
  await ask(first, 0, 50);
  expect([first.size, second.size]).toEqual([50, 300]);
  table.close();
});

it('an address that is gone is said to be unknown', async () => {
  const { table, truth } = await tableOf();
  const book = new AddressBook(new AddressBooks());
  const [gone, there] = truth;
  await table.delete(`\`rowId\` = '${gone?.[1]}'`);
  const rows = await book.find(table, [gone?.[0] ?? 0n, there?.[0] ?? 0n]);
  expect(rows.map((row) => row?.rowId)).toEqual([undefined, there?.[1]]);
  table.close();
});
