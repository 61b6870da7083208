import { readFile } from 'node:fs/promises';
import type { Command, Option } from 'commander';
import type { CliDeps } from '../cli/cli-deps.js';
import { createProgram } from '../cli/create-program.js';
import { projectFolder } from './project-folder.js';
import { markdownTable, writeDocument } from './write-document.js';

// Writes docs/cli.md from the command line itself; with `--check` it only compares.

const refuse = (): Promise<never> => Promise.reject(new Error('nothing is run for the document'));

/** Enough to build the commands: none of them runs. */
const depsOf = (document: unknown): CliDeps => ({
  document,
  version: '',
  apiUrl: 'http://127.0.0.1:7080',
  apiKey: undefined,
  keysPath: '.anneal/keys.json',
  readKeys: refuse,
  send: refuse,
  io: {
    out: () => undefined,
    err: () => undefined,
    isTerminal: false,
    columns: 80,
    paint: (_style, text) => text,
    readStdin: refuse,
  },
  newKey: () => '',
  nowMs: () => 0,
  pause: refuse,
  backup: { create: refuse, verify: refuse, restore: refuse },
  probes: refuse,
});

const intro = `# Command line

<!-- Generated from the commands themselves by \`npm run docs:cli\`; edit them in src/cli and src/api. -->

\`npx anneal <noun> <verb>\`, one command for each operation of the API, and some that do several. \`--help\` behind any of them shows
its options, the fields of its body and an example. Exit codes: 0 done, 1 refused or failed, 2 used wrongly.

Options of every command:
`;

const common = `Commands that send a body take \`--file <path>\` and \`--set <key=value>\`; those that change something \`--key <key>\` (the
idempotency key) and \`--if-match <epoch>\`; those that start a run \`--wait [seconds]\`. Lists take \`--limit\` and \`--cursor\`.
`;

/** Options that are told of once. */
const told = new Set(
  'file options set key if-match wait limit cursor output api-url api-key as version'.split(' '),
);

const isShown = ({ hidden, long }: Option): boolean =>
  !hidden && !told.has(long?.replace(/^--/, '') ?? '');

/** Text of a table cell. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** Commands that do something, with the words that lead to them. */
function leavesOf(command: Command, words: readonly string[]): [string, Command][] {
  if (command.commands.length === 0) return [[words.join(' '), command]];
  return command.commands.flatMap((child) => leavesOf(child, [...words, child.name()]));
}

const rowOf = ([words, command]: [string, Command]): string[] => [
  `\`${cell(
    [
      words,
      ...command
        .usage()
        .split(' ')
        .filter((word) => word.startsWith('<')),
    ].join(' '),
  )}\``,
  cell(command.summary() || command.description()),
  command.options
    .filter(isShown)
    .map(({ flags }) => `\`${cell(flags)}\``)
    .join(' '),
];

function sectionOf(command: Command): string {
  const leaves = leavesOf(command, [command.name()]).sort(([a], [b]) => (a < b ? -1 : 1));
  const table = markdownTable([['Command', 'Does', 'Options'], ...leaves.map(rowOf)]);
  return `## ${command.name()}\n\n${table}`;
}

const program = createProgram(
  depsOf(JSON.parse(await readFile(projectFolder('openapi.json'), 'utf8'))),
  () => undefined,
);
const options = program.options
  .filter(({ long }) => long !== '--version')
  .map(({ flags, description }) => `- \`${flags}\`: ${description}`);
const commands = [...program.commands].sort((a, b) => (a.name() < b.name() ? -1 : 1));
const sections = commands.map(sectionOf);
const document = `${intro}\n${options.join('\n')}\n\n${common}\n${sections.join('\n\n')}\n`;
await writeDocument(document, { path: 'docs/cli.md', command: 'npm run docs:cli' });
