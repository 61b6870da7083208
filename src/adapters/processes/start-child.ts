import { fork, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';

/** The complete environment of what is started; nothing is inherited. */
type ProcessEnvironment = Readonly<Record<string, string | undefined>>;

/** What a child process or a thread gets at its start. */
export interface StartOptions {
  /** Plain data (structured clone): the first message of a child, the `workerData` of a thread. */
  data: unknown;
  env: ProcessEnvironment;
}

/** What a child process gets besides. */
export interface StartChildOptions extends StartOptions {
  /** Flags of the runtime, such as limits of memory and permissions. */
  execArgv?: readonly string[] | undefined;
  /** `none`: what it prints is dropped, where its libraries may quote personal data; default `inherit`. */
  output?: 'inherit' | 'none' | undefined;
}

const ownExtension = extname(fileURLToPath(import.meta.url));

/** The entry with the extension that this file runs under: `.ts` from sources, `.js` once compiled. */
const entryPath = (entry: URL): string => `${fileURLToPath(entry)}${ownExtension}`;

// From sources the entry needs the loader of its own: a loader of the parent (jest's, tsx's) does not reach it.
const loaderArguments = (): string[] =>
  ownExtension === '.ts'
    ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href]
    : [];

/**
 * Starts a child process from an entry named without its extension (`new URL('./x.child', import.meta.url)`) and sends
 * it `data` as its first message. Messages keep typed arrays and maps. The caller owns its end.
 */
export function startChild(
  entry: URL,
  { data, env, execArgv = [], output = 'inherit' }: StartChildOptions,
): ChildProcess {
  const child = fork(entryPath(entry), [], {
    serialization: 'advanced',
    execArgv: [...execArgv, ...loaderArguments()],
    env: { ...env },
    silent: output === 'none',
  });
  // Nobody reads them: a full pipe would stop the child.
  child.stdout?.resume();
  child.stderr?.resume();
  // A child that cannot be spawned reports it by 'error'; its message then has nowhere to go.
  child.send({ data }, () => undefined);
  return child;
}

/** Starts a worker thread from an entry named without its extension (`new URL('./x.thread', import.meta.url)`). */
export function startThread(entry: URL, { data, env }: StartOptions): Worker {
  return new Worker(entryPath(entry), {
    workerData: data,
    execArgv: loaderArguments(),
    env: { ...env },
  });
}
