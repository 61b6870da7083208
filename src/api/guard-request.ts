import type { RequestHandler } from 'express';
import { PlatformError } from '../domain/errors.js';
import { isPrototypeKey } from '../domain/prototype-key.js';

/** Query parameters of one request, at most. */
const MAX_PARAMETERS = 1_000;

const refused = (pointer: string, code: string, detail: string): PlatformError =>
  new PlatformError('INVALID_REQUEST', `The request is not acceptable: ${detail}.`, {
    errors: [{ pointer, code, detail }],
  });

/** The values of a header as they came: Node keeps the first of two and says nothing. */
function rawValues(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    if (rawHeaders[at]?.toLowerCase() === name) values.push(rawHeaders[at + 1] ?? '');
  return values;
}

/** The name in a Host header, in lower case and without its port; undefined where it is no host. */
function hostNameOf(value: string): string | undefined {
  if (!/^(\[[\da-f:.]+\]|[a-z\d.-]+)(:\d{1,5})?$/i.test(value)) return undefined;
  return value.replace(/:\d+$/, '').toLowerCase();
}

function assertHost(rawHeaders: readonly string[], hosts: ReadonlySet<string> | undefined): void {
  const pointer = '/header/host';
  const [value, ...more] = rawValues(rawHeaders, 'host');
  if (value === undefined) throw refused(pointer, 'missing', 'there is no Host header');
  if (more.length > 0) throw refused(pointer, 'duplicate', 'there are two Host headers');
  const name = hostNameOf(value);
  if (name === undefined) throw refused(pointer, 'invalid_format', 'the Host header is no host');
  if (hosts !== undefined && !hosts.has(name))
    throw refused(pointer, 'unknown', 'this host name is not one of this API (ANNEAL_API_HOSTS)');
}

/** Text that a database cannot hold, or that has no UTF-8 form. */
export const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** Whether the characters behind each `%` of a query are UTF-8; what parses it puts U+FFFD where they are not. */
function isDecodable(url: string): boolean {
  try {
    decodeURIComponent(url.slice(url.indexOf('?') + 1 || url.length));
    return true;
  } catch {
    return false;
  }
}

function assertQuery(query: Record<string, unknown>, url: string): void {
  if (url.split('&').length > MAX_PARAMETERS)
    throw refused('/query', 'too_many', `there are more than ${MAX_PARAMETERS} parameters`);
  if (!isDecodable(url)) throw refused('/query', 'invalid_text', 'it is not UTF-8');
  for (const [name, value] of Object.entries(query)) {
    if (isPrototypeKey(name))
      throw refused(`/query/${name}`, 'forbidden_key', 'this key is never part of a request');
    if (!isStorable(name) || ![value].flat().map(String).every(isStorable))
      throw refused(`/query/${name.replaceAll('\0', '')}`, 'invalid_text', 'it holds no text');
  }
}

/**
 * What every request has to be before anything else looks at it: one Host header that names this API, and parameters that
 * are text (reliability.md §6).
 * @param hosts names without port, in lower case; undefined: any
 */
export const guardRequest =
  (hosts: ReadonlySet<string> | undefined): RequestHandler =>
  (request, _response, next) => {
    assertHost(request.rawHeaders, hosts);
    assertQuery(request.query, request.url);
    next();
  };
