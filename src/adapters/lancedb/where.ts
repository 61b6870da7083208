import type { AccessFilter, Slice } from '../../domain/etl/vector-sink.js';
import { sliceDigits } from '../../domain/etl/check-sink-batch.js';
import { metadataTokens } from './arrow-rows.js';

/** A value as a literal of the filter language: quotes are doubled, backslashes mean themselves. */
const literal = (value: string): string => `'${value.replaceAll("'", "''")}'`;

const list = (values: readonly string[]): string => values.map(literal).join(', ');

/** Rows with one of these ids. */
export const whereIds = (rowIds: readonly string[]): string =>
  rowIds.length === 0 ? 'false' : `\`rowId\` IN (${list(rowIds)})`;

/** Rows that a principal may read and whose metadata has the named values. */
export function whereAccess(filter: AccessFilter): string {
  const acl = `array_has_any(acl, [${list(filter.principals)}])`;
  const tags = metadataTokens(filter.metadata);
  return tags.length === 0 ? acl : `${acl} AND array_has_all(tags, [${list(tags)}])`;
}

/** Rows of a slice: `:` is the character after `9`, `g` the one after `f`. */
export function whereSlice(slice: Slice): string {
  const [first, last] = sliceDigits(slice);
  const end = String.fromCharCode(last.charCodeAt(0) + 1);
  return `\`rowId\` >= ${literal(first)} AND \`rowId\` < ${literal(end)}`;
}
