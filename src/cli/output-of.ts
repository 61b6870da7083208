import type { CliDeps } from './cli-deps.js';

/** Options that every command has. */
export interface GlobalOptions {
  output?: 'table' | 'json';
  apiUrl?: string;
  apiKey?: string;
  as?: string;
}

/** How results are printed: as asked, else a table where a person reads and JSON where a program does. */
export const outputOf = (
  { io }: Pick<CliDeps, 'io'>,
  { output, json }: GlobalOptions & { json?: boolean },
): 'table' | 'json' => (json === true ? 'json' : (output ?? (io.isTerminal ? 'table' : 'json')));
