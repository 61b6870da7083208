import type { z } from 'zod';

type Issue = z.ZodError['issues'][number];

const units: Record<string, string> = { string: 'characters', array: 'items', set: 'items' };
const nouns: Record<string, string> = {
  int: 'a whole number',
  array: 'a list',
  object: 'an object',
};

/** A bound of a number, or of how many something has. */
const sized = (origin: string, bound: string): string => {
  const unit = units[origin];
  return unit === undefined ? `must be ${bound}` : `must have ${bound} ${unit}`;
};

const nounOf = (expected: string): string =>
  nouns[expected] ?? `${/^[aeiou]/.test(expected) ? 'an' : 'a'} ${expected}`;

/** What was expected of a field, in words: the value itself is never repeated. */
export function detailOf(issue: Issue): string {
  // Zod tells a field that is not there by the words of its message alone.
  if (issue.message.endsWith('received undefined')) return 'is required';
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${nounOf(issue.expected)}`;
    case 'invalid_value': {
      const values = issue.values.map(String).join(', ');
      return issue.values.length === 1 ? `must be ${values}` : `must be one of: ${values}`;
    }
    case 'invalid_union': {
      const [, values] = /^Invalid discriminator value\. Expected (.+)$/.exec(issue.message) ?? [];
      if (values === undefined) return issue.message;
      return `must be one of: ${values.replaceAll("'", '').replaceAll(' | ', ', ')}`;
    }
    case 'too_small': {
      const bound = issue.inclusive === false ? 'more than' : 'at least';
      return sized(issue.origin, `${bound} ${issue.minimum}`);
    }
    case 'too_big': {
      const bound = issue.inclusive === false ? 'less than' : 'at most';
      return sized(issue.origin, `${bound} ${issue.maximum}`);
    }
    case 'custom':
    case 'invalid_element':
    case 'invalid_format':
    case 'invalid_key':
    case 'not_multiple_of':
    case 'unrecognized_keys':
      return issue.message;
  }
}
