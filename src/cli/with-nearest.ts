import { nearestOf } from './nearest-of.js';

const meant = (words: readonly string[]): string =>
  words.length === 1 ? `(Did you mean ${words[0]}?)` : `(Did you mean one of ${words.join(', ')}?)`;

/** Commands that have the word as one of their own: `kill` of kill-switches, `runs` of training-runs. */
const holding = (word: string, commands: readonly string[]): string[] =>
  commands.filter((name) => name.split('-').some((part) => part === word || part === `${word}s`));

/** A message of commander about wrong use, with what was probably meant where commander does not say it. */
export function withNearest(text: string, commands: readonly string[]): string {
  if (text.includes('Did you mean')) return text;
  const value = /argument '(.*)' is invalid\. Allowed choices are (.+)\./.exec(text);
  const command = /unknown command '(.*)'/.exec(text);
  const near =
    value === null
      ? holding(command?.[1] ?? '', commands)
      : [nearestOf(value[1] ?? '', (value[2] ?? '').split(', '))].flatMap((word) => word ?? []);
  return near.length === 0 ? text : `${text.trimEnd()}\n${meant(near)}\n`;
}
