import { openAsBlob } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { CliDeps } from './cli-deps.js';
import { UsageError } from './usage-error.js';

type JsonObject = Record<string, unknown>;

/** A value as `--set key=value` means it: JSON where it is JSON, else text. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `body` with one `a.b=value` set; objects on the way are made. @throws UsageError */
function withSetting(body: JsonObject, setting: string): JsonObject {
  const at = setting.indexOf('=');
  const path = setting.slice(0, at).split('.');
  if (at < 1 || path.includes(''))
    throw new UsageError(`--set ${setting}: write it as key=value or outer.inner=value.`);
  const put = (target: unknown, [head = '', ...rest]: string[]): JsonObject => {
    const object = isObject(target) ? target : {};
    // defineProperty: a key such as __proto__ must stay data.
    const value = rest.length === 0 ? valueOf(setting.slice(at + 1)) : put(own(object, head), rest);
    return Object.defineProperty({ ...object }, head, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  };
  return put(body, path);
}

const own = (object: JsonObject, key: string): unknown =>
  Object.hasOwn(object, key) ? object[key] : undefined;

async function textOf(deps: Pick<CliDeps, 'io'>, path: string): Promise<string> {
  if (path === '-') return deps.io.readStdin();
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw new UsageError(`${path} cannot be read (${codeOf(error)}).`);
  });
}

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException).code);

/**
 * The JSON of a file (`-`: standard input) with `--set key=value` on top; undefined where neither is given.
 * @throws UsageError where the file cannot be read or is not JSON
 */
export async function readBody(
  deps: Pick<CliDeps, 'io'>,
  given: { file?: string | undefined; set?: string[] | undefined },
): Promise<unknown> {
  const { file, set = [] } = given;
  if (file === undefined && set.length === 0) return undefined;
  const text = file === undefined ? '{}' : await textOf(deps, file);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${file} is not JSON: ${(error as Error).message}`);
  }
  if (set.length === 0) return body;
  if (!isObject(body)) throw new UsageError('--set needs a JSON object in --file.');
  return set.reduce(withSetting, body);
}

/**
 * A multipart body of `options` and one file. The file is read while it is sent, never whole into memory.
 * @throws UsageError where the file cannot be read
 */
export async function readUpload(options: unknown, path: string): Promise<FormData> {
  const found = await stat(path).catch((error: unknown) => {
    throw new UsageError(`${path} cannot be read (${codeOf(error)}).`);
  });
  if (!found.isFile()) throw new UsageError(`${path} is not a file: an upload needs its size.`);
  const form = new FormData();
  // Before the file: the server decides on the options before it takes the first byte.
  form.append('options', JSON.stringify(options ?? {}));
  form.append('file', await openAsBlob(path), basename(path));
  return form;
}
