import type { DatasetContract } from './dataset-contract.js';
import type { FieldValue } from './field-check.js';
import type { PiiPolicy } from './staging.js';

/** What is stored instead of a field's value. */
type Redaction = 'tokenize' | 'drop' | 'keep';

/**
 * How each field of a contract is stored, by name. The subject key is tokenised or dropped, never kept; other
 * identifiers are tokenised unless the policy names them; all other fields are kept unless it names them.
 */
function redactions(contract: DatasetContract, pii: PiiPolicy | undefined): Map<string, Redaction> {
  const named = new Set(pii?.fields);
  return new Map(
    contract.fields.map(({ name, personal }): [string, Redaction] => {
      const isSubject = name === contract.subjectKeyField;
      const fallback = isSubject || personal === 'identifier' ? 'tokenize' : 'keep';
      const action = pii && named.has(name) ? pii.action : fallback;
      return [name, isSubject && action === 'keep' ? 'tokenize' : action];
    }),
  );
}

/** Fields whose values a profile must not show. */
export const hiddenFields = (
  contract: DatasetContract,
  pii: PiiPolicy | undefined,
): ReadonlySet<string> =>
  new Set([...redactions(contract, pii)].flatMap(([name, how]) => (how === 'keep' ? [] : [name])));

/**
 * Compiles the redaction of rows: personal values become tokens or null, and the subject's token is answered beside
 * the row (null without a subject).
 */
export function compileRedaction(
  contract: DatasetContract,
  pii: PiiPolicy | undefined,
  tokenise: (value: string) => string,
): (row: readonly FieldValue[]) => { values: FieldValue[]; subjectToken: string | null } {
  const how = redactions(contract, pii);
  const actions = contract.fields.map(({ name }) => how.get(name) ?? 'keep');
  const subjectAt = contract.fields.findIndex(({ name }) => name === contract.subjectKeyField);
  const token = (value: FieldValue): string | null =>
    value === null
      ? null
      : tokenise(typeof value === 'object' ? JSON.stringify(value) : String(value));
  return (row) => {
    const values = row.map((value, i): FieldValue => {
      if (actions[i] === 'keep') return value;
      return actions[i] === 'drop' ? null : token(value);
    });
    return { values, subjectToken: token(row[subjectAt] ?? null) };
  };
}
