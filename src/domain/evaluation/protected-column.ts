/** A protected attribute of the evaluated rows: the declared groups and the group of each row. */
export interface ProtectedColumn {
  /** Attribute name, or the joined names of an intersection. */
  attribute: string;
  /** Declared groups in their order, then undeclared ones that occur, sorted. A declared group may have no row. */
  groups: string[];
  /** Index into `groups`, one a row. */
  codes: Uint16Array;
}

/** Group of the rows whose attribute is missing: they are measured like any other group, never left out. */
export const MISSING_GROUP = '(missing)';
/** Joins attribute and group names of an intersection. */
const JOINT = ' & ';

/**
 * Builds a protected column from the values of the rows.
 * @param declared groups that must be listed even if no row has them
 */
export function encodeGroups(
  attribute: string,
  values: readonly (string | null | undefined)[],
  declared: readonly string[] = [],
): ProtectedColumn {
  const named = values.map((value) => value ?? MISSING_GROUP);
  const seen = new Set(named);
  const known = [...new Set(declared)];
  for (const group of known) seen.delete(group);
  const groups = [...known, ...[...seen].sort()];
  const codeOf = new Map(groups.map((group, code) => [group, code]));
  return { attribute, groups, codes: Uint16Array.from(named, (group) => codeOf.get(group) ?? 0) };
}

/**
 * Every combination of the groups of several attributes, empty ones included. At least one column, all of the same
 * length.
 */
export function intersectGroups(columns: readonly ProtectedColumn[]): ProtectedColumn {
  const rows = columns[0]?.codes.length ?? 0;
  const codes = new Uint16Array(rows);
  let groups = [''];
  for (const column of columns) {
    const size = column.groups.length;
    groups = groups.flatMap((prefix) =>
      column.groups.map((group) => (prefix === '' ? group : prefix + JOINT + group)),
    );
    for (let row = 0; row < rows; row++)
      codes[row] = (codes[row] ?? 0) * size + (column.codes[row] ?? 0);
  }
  return { attribute: columns.map(({ attribute }) => attribute).join(JOINT), groups, codes };
}
