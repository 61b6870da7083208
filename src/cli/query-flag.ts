import type { CliOperation } from './operations-of.js';

const reserved = new Set(
  'file options set wait key if-match output api-url api-key as help version tenant'.split(' '),
);

/** True for the options that a command has of its own, whatever its parameters are. */
export const isReserved = (name: string): boolean => reserved.has(name);

/**
 * The option, without dashes, that carries a query parameter: `subject-token` for `subjectToken`, `query-<name>` where the
 * plain name is taken.
 */
export function queryFlag({ pathParameters }: CliOperation, name: string): string {
  const taken = isReserved(name) || pathParameters.some((one) => one.name === name);
  const flag = taken ? `query-${name}` : name;
  return flag.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
