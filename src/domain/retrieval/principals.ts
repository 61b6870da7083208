import { accessFilter, type AccessFilter } from '../etl/vector-sink.js';

/** Who may read a document, as access lists name them. */
export type PrincipalToken = 'public' | `user:${string}` | `group:${string}`;

declare const isReader: unique symbol;

/**
 * Who reads, and for which purpose. Only {@link readerOf} makes one, so that no search and no read filter can be written
 * without a tenant, a principal and a purpose.
 */
export interface Reader {
  readonly [isReader]: true;
  readonly tenant: string;
  /** Sorted, without repetition; always holds `public`. */
  readonly principals: readonly [PrincipalToken, ...PrincipalToken[]];
  readonly purpose: string;
}

/** True for a token that an access list may hold: `public`, `user:<id>` or `group:<name>` without white space. */
export const isPrincipalToken = (value: string): value is PrincipalToken =>
  value === 'public' || /^(user|group):[^\s\p{C}]{1,128}$/u.test(value);

/**
 * The reader that a caller is: its own token, one per group, and `public`.
 * @throws TypeError where tenant, purpose or subject is empty, or a name cannot be a token: there is no reader then
 */
export function readerOf(of: {
  tenant: string;
  /** The caller, or the person a delegate asks for. */
  subject: string;
  groups: readonly string[];
  purpose: string;
}): Reader {
  const named = [`user:${of.subject}`, ...of.groups.map((group) => `group:${group}`)];
  if (of.tenant === '' || of.purpose === '' || !named.every(isPrincipalToken))
    throw new TypeError('a reader has a tenant, a purpose and principals that can be tokens');
  const principals = [...new Set<string>(['public', ...named])].sort();
  return { tenant: of.tenant, principals, purpose: of.purpose } as unknown as Reader;
}

/** What a store narrows candidates by for this reader; the ledger decides afterwards (etl.md §5, W3). */
export const accessOf = (
  reader: Reader,
  metadata?: Readonly<Record<string, string | number | boolean>>,
): AccessFilter => accessFilter({ tenant: reader.tenant, principals: reader.principals, metadata });
