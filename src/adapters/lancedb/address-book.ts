import type { Table } from '@lancedb/lancedb';
import type { RecordBatch, Table as ArrowTable } from 'apache-arrow';
import { bigintsOf, stringsOf } from './arrow-rows.js';

/** What is at an address. */
export interface AddressedRow {
  rowId: string;
  docId: string;
}

/** Entries of all books of a process; about 190 bytes each. */
const MAX_ENTRIES = 400_000;
/** So many unknown rows in one search, and the book is filled from the whole table. */
const FILL_FROM = 16;
/** A table that is compacted again and again is not read whole again and again. */
const FILL_EVERY_MS = 30_000;

const idColumns = ['rowId', 'docId'];

/** Gives the books of a store their room: where there is none left, the book that was used least lately is emptied. */
export class AddressBooks {
  readonly #books = new Set<AddressBook>();
  readonly maxEntries: number;

  constructor(maxEntries = MAX_ENTRIES) {
    this.maxEntries = maxEntries;
  }

  /** Says that a book is in use and has grown. */
  use(book: AddressBook): void {
    this.#books.delete(book);
    this.#books.add(book);
    let entries = 0;
    for (const { size } of this.#books) entries += size;
    for (const oldest of this.#books) {
      if (entries <= this.maxEntries) return;
      entries -= oldest.size;
      this.drop(oldest);
    }
  }

  drop(book: AddressBook): void {
    this.#books.delete(book);
    book.clear();
  }
}

/**
 * Which row is at an address of a table. Files of a table never change and none is named twice, so what is at an address
 * stays there until it is gone: an entry is never wrong. Reading the ids of a hundred hits costs more than finding them,
 * and reading all ids of a table as much as twenty searches: so the first search that knows too little reads them all,
 * beside its answer.
 */
export class AddressBook {
  readonly #books: AddressBooks;
  #rows = new Map<bigint, AddressedRow>();
  #filling: Promise<void> | undefined;
  #filledAt = -FILL_EVERY_MS;

  constructor(books: AddressBooks) {
    this.#books = books;
  }

  get size(): number {
    return this.#rows.size;
  }

  clear(): void {
    this.#rows = new Map();
  }

  /** Resolves when nothing is being read into this book. */
  async settled(): Promise<void> {
    await this.#filling;
  }

  /** The rows at addresses, in their order; `undefined` where one is gone. @throws what the table throws */
  async find(table: Table, addresses: readonly bigint[]): Promise<(AddressedRow | undefined)[]> {
    const unknown = addresses.filter((address) => !this.#rows.has(address));
    if (unknown.length > 0) {
      const read = await table.takeRowIds(unknown).withRowId().select(idColumns).toArrow();
      enter(this.#rows, read);
    }
    const rows = addresses.map((address) => this.#rows.get(address));
    if (unknown.length >= FILL_FROM) this.#fill(table);
    this.#books.use(this);
    return rows;
  }

  #fill(table: Table): void {
    const now = performance.now();
    if (this.#filling !== undefined || now - this.#filledAt < FILL_EVERY_MS) return;
    this.#filledAt = now;
    this.#filling = this.#readAll(table)
      // A search reads for itself what it does not find here.
      .catch(() => undefined)
      .finally(() => {
        this.#filling = undefined;
      });
  }

  async #readAll(table: Table): Promise<void> {
    if ((await table.countRows()) > this.#books.maxEntries / 2) return;
    const rows = new Map<bigint, AddressedRow>();
    for await (const batch of table.query().withRowId().select(idColumns)) enter(rows, batch);
    this.#rows = rows;
    this.#books.use(this);
  }
}

/** Enters the rows of a result that carries addresses; rows of one document share its id. */
function enter(into: Map<bigint, AddressedRow>, rows: ArrowTable | RecordBatch): void {
  const docIds = [...stringsOf(rows, 'docId')];
  const addresses = bigintsOf(rows, '_rowid');
  let docId = '';
  let at = 0;
  for (const rowId of stringsOf(rows, 'rowId')) {
    const address = addresses[at];
    if (docIds[at] !== docId) docId = docIds[at] ?? '';
    if (address !== undefined) into.set(address, { rowId, docId });
    at += 1;
  }
}
