import { Command, Option } from 'commander';
import { addBackupCommands } from './backup.js';
import { renderFields } from './body-fields.js';
import type { CliDeps } from './cli-deps.js';
import { renderDoctor, runProbes } from './doctor.js';
import { exampleText } from './example-of.js';
import { addKnowledgeCommands } from './knowledge/add-knowledge-commands.js';
import { operationsOf, type CliOperation, type CliParameter } from './operations-of.js';
import { outputOf, type GlobalOptions } from './output-of.js';
import { isReserved, queryFlag } from './query-flag.js';
import { runOperation } from './run-operation.js';
import { UsageError } from './usage-error.js';
import { DEFAULT_WAIT_S } from './wait-ms-of.js';
import { withNearest } from './with-nearest.js';

interface OperationOptions extends GlobalOptions {
  file?: string;
  options?: string;
  set?: string[];
  wait?: string | true;
  key?: string;
  ifMatch?: string;
  tenant?: string;
}

const seeHelp = '(--help shows the options and an example)';

const repeated = (value: string, before: string[] | undefined): string[] => [
  ...(before ?? []),
  value,
];

function parameterOption(flag: string, { name, description, choices }: CliParameter): Option {
  const option = new Option(`--${flag} <${name}>`, description);
  return choices.length > 0 ? option.choices(choices) : option;
}

function addParameters(command: Command, operation: CliOperation): Map<string, Option> {
  const options = new Map<string, Option>();
  const add = (place: string, option: Option) => {
    options.set(place, option);
    command.addOption(option);
  };
  for (const parameter of operation.pathParameters) {
    const { name, description } = parameter;
    command.argument(`[${name}]`, description);
    // Also by name, so that scripts need not know the order.
    if (!isReserved(name)) add(`path ${name}`, parameterOption(name, parameter).hideHelp());
  }
  for (const parameter of operation.queryParameters) {
    // `chain` of the document is `--tenant system` here: a key has one tenant, and the system's chain beside it.
    if (operation.id === 'audit.verify' && parameter.name === 'chain') continue;
    add(
      `query ${parameter.name}`,
      parameterOption(queryFlag(operation, parameter.name), parameter),
    );
  }
  if (operation.id === 'audit.verify')
    command.option('--tenant <id>', 'whose chain; `system` for the system chain');
  return options;
}

function addBodyOptions(command: Command, operation: CliOperation): void {
  if (operation.body === 'json')
    command.option('--file <path>', 'JSON body; - reads standard input');
  if (operation.body === 'upload') {
    command.option('--file <path>', 'the data file; streamed');
    command.option('--options <path>', 'JSON options of the upload; - reads standard input');
  }
  if (operation.body !== 'none')
    command.option('--set <key=value>', 'sets one field of the body; repeatable', repeated);
  if (operation.method !== 'GET') {
    command.option('--key <key>', 'idempotency key; a random one where none is given');
    command.option('--if-match <epoch>', 'the epoch that this change builds on');
  }
  if (operation.starts) {
    command.option(
      '--wait [seconds]',
      `follows the operation to its end (${DEFAULT_WAIT_S} s unless named)`,
    );
  }
}

function pathValues(
  { pathParameters }: CliOperation,
  args: readonly string[],
  named: (name: string) => string | undefined,
): Record<string, string | undefined> {
  return Object.fromEntries(
    pathParameters.map(({ name }, index) => [name, args[index] ?? named(name)]),
  );
}

/** What help shows below the options: the fields of the body, and an example. */
function belowOptions(operation: CliOperation, columns: number): string {
  const { body, bodyFields } = operation;
  if (bodyFields.length === 0) return exampleText(operation);
  const what = body === 'upload' ? 'options' : 'body';
  const fields = renderFields(bodyFields, columns);
  return ['', `Fields of the ${what} (* has to be given):`, ...fields, exampleText(operation)].join(
    '\n',
  );
}

/** @throws UsageError where there are more arguments than the path takes: a filter is an option */
function refuseMore(command: Command, operation: CliOperation): void {
  const { noun, verb, pathParameters, queryParameters } = operation;
  const more = command.args.slice(pathParameters.length);
  if (more.length === 0) return;
  const names = pathParameters.map(({ name }) => ` <${name}>`).join('');
  const filters = queryParameters
    .filter(({ name }) => name !== 'cursor' && name !== 'limit')
    .map(({ name }) => ` [--${queryFlag(operation, name)} <${name}>]`)
    .join('');
  throw new UsageError(
    `error: too many arguments: ${more.join(' ')}\nUsage: anneal ${noun} ${verb}${names}${filters}\n${seeHelp}`,
  );
}

function addOperation(
  parent: Command,
  operation: CliOperation,
  run: (work: () => Promise<number>) => Promise<void>,
): (deps: CliDeps) => void {
  const command = parent.command(operation.verb);
  const { summary, description } = operation;
  command.summary(summary).description(description === '' ? summary : `${summary}. ${description}`);
  const options = addParameters(command, operation);
  addBodyOptions(command, operation);
  const names = operation.pathParameters.map(({ name }) => `<${name}>`).join(' ');
  command.usage(names === '' ? '[options]' : `${names} [options]`);
  const valueOf = (place: string): string | undefined => {
    const option = options.get(place);
    return option && (command.getOptionValue(option.attributeName()) as string | undefined);
  };
  command.allowExcessArguments();
  return (deps) => {
    command.addHelpText('after', () => belowOptions(operation, deps.io.columns));
    command.action(() => {
      refuseMore(command, operation);
      const given = command.optsWithGlobals<OperationOptions>();
      const query = operation.queryParameters.map(({ name }) => [name, valueOf(`query ${name}`)]);
      if (given.tenant === 'system') query.push(['chain', 'system']);
      return run(() =>
        runOperation(deps, operation, {
          path: pathValues(operation, command.args, (name) => valueOf(`path ${name}`)),
          query: Object.fromEntries(query) as Record<string, string | undefined>,
          file: given.file,
          options: given.options,
          set: given.set,
          wait: given.wait,
          idempotencyKey: given.key,
          ifMatch: given.ifMatch,
          output: outputOf(deps, given),
          apiUrl: given.apiUrl,
          apiKey: given.apiKey,
          role: given.as,
          tenant: given.tenant,
        }),
      );
    });
  };
}

function addDoctor(
  program: Command,
  deps: CliDeps,
  run: (work: () => Promise<number>) => Promise<void>,
) {
  const command = program
    .command('doctor')
    .summary('Check this installation')
    .description('Checks everything that the platform needs; each failure names its fix.');
  command.addHelpText('after', '\nExample:\n  $ anneal doctor --output json');
  command.action(() =>
    run(async () => {
      const reports = await runProbes(await deps.probes(), deps);
      const output = command.optsWithGlobals<GlobalOptions>().output ?? 'table';
      deps.io.out(renderDoctor(deps.io, output, reports));
      return reports.every(({ ok }) => ok) ? 0 : 1;
    }),
  );
}

const firstSteps = `
Every command shows an example:
  $ anneal training-runs create --help
Who you are is yours to say:
  $ anneal models list --as engineer`;

function byNoun(operations: readonly CliOperation[]): Map<string, CliOperation[]> {
  const nouns = new Map<string, CliOperation[]>();
  for (const operation of operations)
    nouns.set(operation.noun, [...(nouns.get(operation.noun) ?? []), operation]);
  return nouns;
}

/**
 * The whole command line: one command `anneal <noun> <verb>` per operation of the document, and by hand
 * `etl`, `search`, `backup` and `doctor`.
 * @param finish gets the exit code of the command that ran
 */
export function createProgram(deps: CliDeps, finish: (code: number) => void): Command {
  const program = new Command('anneal');
  const run = async (work: () => Promise<number>) => finish(await work());
  program
    .description('The AI lifecycle as durable workflows, from the command line.')
    .version(deps.version)
    .configureOutput({
      writeOut: (text) => deps.io.out(text.trimEnd()),
      writeErr: (text) => deps.io.err(text.trimEnd()),
      outputError: (text, write) =>
        write(
          withNearest(
            text,
            program.commands.map((command) => command.name()),
          ),
        ),
      getOutHelpWidth: () => deps.io.columns,
      getErrHelpWidth: () => deps.io.columns,
    })
    .exitOverride()
    // Words wrap from 20 columns on: beside the long options 80 columns leave fewer than the usual 40.
    .configureHelp({ showGlobalOptions: true, minWidthToWrap: 20 })
    .showHelpAfterError(seeHelp)
    .addOption(
      new Option('--output <form>', 'table on a terminal, json elsewhere').choices([
        'table',
        'json',
      ]),
    )
    .option('--api-url <url>', `address of the API (${deps.apiUrl})`)
    .option('--api-key <key>', 'API key; better in ANNEAL_API_KEY')
    .option('--as <role>', `role whose key of ${deps.keysPath} is used`);
  for (const [noun, operations] of byNoun(operationsOf(deps.document))) {
    const parent = program.command(noun).summary(operations.map(({ verb }) => verb).join(', '));
    for (const operation of operations) addOperation(parent, operation, run)(deps);
  }
  addKnowledgeCommands(program, deps, run);
  addBackupCommands(program, deps, run);
  addDoctor(program, deps, run);
  program.addHelpText('after', firstSteps);
  return program;
}
