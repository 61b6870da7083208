import type { Documents, SourceDocument } from './corpus.js';

/** A document whose text is made when it is read: a hundred thousand of them fit beside what is measured. */
class Variant implements SourceDocument {
  readonly key: string;
  readonly acl: string[];
  readonly token = '1';
  readonly #base: SourceDocument;
  readonly #turn: number;

  constructor(base: SourceDocument, turn: number) {
    this.#base = base;
    this.#turn = turn;
    this.key = `${turn}-${base.key}`;
    this.acl = base.acl;
  }

  /** The sentences of the base in another order, so that no two variants share a chunk. */
  get text(): string {
    if (this.#turn === 0) return this.#base.text;
    const sentences = this.#base.text.split(/(?<=\. )/);
    const at = this.#turn % sentences.length;
    return `Variant ${this.#turn}. ${[...sentences.slice(at), ...sentences.slice(0, at)].join('')}`;
  }
}

/** So many documents by the corpus again and again, each time otherwise. */
export function variantsOf(documents: Documents, count: number): Documents {
  const made = new Map<string, SourceDocument>();
  for (let turn = 0; made.size < count; turn++)
    for (const base of documents.values()) {
      if (made.size === count) break;
      const variant = new Variant(base, turn);
      made.set(variant.key, variant);
    }
  return made;
}
