import { readdirSync, readFileSync } from 'node:fs';
import { ableOf } from '../../src/cli/choose-key.js';
import { operationsOf, type CliOperation } from '../../src/cli/operations-of.js';

const root = new URL('../..', import.meta.url).pathname;
const folder = `${root}docs/runbooks/`;

/** The steps of a runbook, in their order. */
export const runbookSteps = ['Symptom', 'Confirm', 'Act', 'Verify', 'Undo'];

/** A file of `docs/runbooks`. */
export interface RunbookPage {
  name: string;
  text: string;
}

/** Every page of the folder, by name. */
export const readRunbookPages = (): RunbookPage[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.md'))
    .sort()
    .map((file) => ({
      name: file.slice(0, -3),
      text: readFileSync(`${folder}${file}`, 'utf8'),
    }));

/** A page about one thing to do; the others have a section for each alert. */
export const isProcedure = ({ text }: RunbookPage): boolean => /^\*\*Symptom\.\*\*/m.test(text);

/** What is executed, in which state of the installation; or the reason why it is not. */
const mark = /^<!-- (?:ci(?:: (?:stopped|restarted))?|not run: \S.{9,}) -->$/;

/** Fences without a mark that says whether CI runs them, each as its first line. */
export function unmarkedFences(text: string): string[] {
  const lines = text.split('\n');
  const found: string[] = [];
  let isOpen = false;
  lines.forEach((line, at) => {
    if (!line.trimStart().startsWith('```')) return;
    isOpen = !isOpen;
    if (!isOpen) return;
    const before = lines.slice(0, at).findLast((each) => each.trim() !== '') ?? '';
    // A fence that the drill would not find, because of its language or its place in a list, is none that it runs.
    const isFound = line === '```sh' && mark.test(before);
    if (!isFound) found.push(`${line} ${lines[at + 1] ?? ''}`);
  });
  return found;
}

/** Every call of the command line in a text, in prose and in fences. */
export const callsIn = (text: string): string[] => [
  ...[...text.replace(/```[\s\S]*?```/g, '').matchAll(/`(?:npx )?(anneal [^`]+)`/g)].map(
    ([, call]) => (call ?? '').replace(/\s+/g, ' '),
  ),
  ...[...text.matchAll(/```sh\n([\s\S]*?)\n```/g)].flatMap(([, block]) =>
    [
      ...(block ?? '')
        .replace(/\\\n\s*/g, '')
        .matchAll(/(ANNEAL_API_KEY=)?(?:\S+ )?npx (anneal [^\n|)]+)/g),
    ].map(([, key = '', call]) => `${call ?? ''}${key && ' --api-key'}`),
  ),
];

/** Commands that need more than HTTP, or that have a form of their own. */
const ownCommands = ['backup', 'doctor', 'etl'];

const operations = operationsOf(JSON.parse(readFileSync(`${root}openapi.json`, 'utf8')));

function missingIn(operation: CliOperation, call: string): string[] {
  const role = / --as (\S+)/.exec(call)?.[1];
  const given = [...call.matchAll(/ --set '?([\w.]+)=/g)].map(([, name]) => name);
  const hasFile = call.includes(' --file ');
  const isListed = operation.bodyFields
    .filter(({ required, name }) => required && !hasFile && !given.includes(name))
    .map(({ name }) => `--set ${name}=`);
  if (call.endsWith(' --api-key')) return isListed;
  if (role === undefined) return ['--as', ...isListed];
  const may = ableOf([role], operation.permission).length > 0;
  return [...(may ? [] : [`a role that may: not ${role}`]), ...isListed];
}

/** What a call lacks before it can do what the page says; empty where it can. */
export function faultsOfCall(call: string): string[] {
  const [, noun = '', verb = ''] = call.split(' ');
  if (ownCommands.includes(noun)) return [];
  const operation = operations.find((each) => each.noun === noun && each.verb === verb);
  return operation === undefined ? ['an operation of this name'] : missingIn(operation, call);
}
