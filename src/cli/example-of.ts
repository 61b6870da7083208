import { usualNameFor } from './choose-key.js';
import type { CliOperation } from './operations-of.js';
import { queryFlag } from './query-flag.js';

/** An example call of a command: its arguments, and the file that it names. */
export interface CommandExample {
  /** Behind `anneal`. */
  args: string[];
  file: { name: string; content: unknown } | undefined;
}

const isScalar = (value: unknown): boolean => typeof value !== 'object' || value === null;

/** At most this many fields are shown as `--set`; more go into a file. */
const SETTINGS = 2;

function bodyArguments({ body, example }: CliOperation): Pick<CommandExample, 'args' | 'file'> {
  const content = example?.body;
  if (body === 'none') return { args: [], file: undefined };
  if (body === 'upload') {
    const file = { name: 'options.json', content: content ?? {} };
    return { args: ['--options', file.name, '--file', 'data.csv'], file };
  }
  if (content === undefined) return { args: [], file: undefined };
  const entries = Object.entries(content as Record<string, unknown>);
  if (entries.length <= SETTINGS && entries.every(([, value]) => isScalar(value))) {
    const args = entries.flatMap(([name, value]) => ['--set', `${name}=${settingOf(value)}`]);
    return { args, file: undefined };
  }
  return { args: ['--file', 'body.json'], file: { name: 'body.json', content } };
}

/** Text that would read as another JSON value keeps its quotes. */
function settingOf(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  try {
    JSON.parse(value);
    return JSON.stringify(value);
  } catch {
    return value;
  }
}

/** The example of a command, from `x-example` of its operation. */
export function exampleOf(operation: CliOperation): CommandExample {
  const { example, noun, verb, pathParameters, starts } = operation;
  const params = pathParameters.map(({ name }) => String(example?.params[name] ?? `<${name}>`));
  const query = Object.entries(example?.query ?? {}).flatMap(([name, value]) => [
    `--${queryFlag(operation, name)}`,
    String(value),
  ]);
  const { args, file } = bodyArguments(operation);
  const epoch = operation.description.includes('Needs `If-Match`') ? ['--if-match', '3'] : [];
  return {
    args: [noun, verb, ...params, ...query, ...args, ...epoch, ...(starts ? ['--wait'] : [])],
    file,
  };
}

const quoted = (argument: string): string =>
  /^[\w@%+=:,./<>-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;

/** The example as `--help` shows it. */
export function exampleText(operation: CliOperation): string {
  const { args, file } = exampleOf(operation);
  const name = usualNameFor(operation.permission);
  const role = name === undefined ? '' : ` --as ${name}`;
  const lines = ['', 'Example:', `  $ anneal ${args.map(quoted).join(' ')}${role}`];
  if (file === undefined) return lines.join('\n');
  const content = JSON.stringify(file.content, null, 2).replaceAll('\n', '\n  ');
  return [...lines, '', `  ${file.name}:`, `  ${content}`].join('\n');
}
