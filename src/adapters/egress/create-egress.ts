import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Transform } from 'node:stream';
import type { Agent, Dispatcher } from 'undici';
import { PlatformError } from '../../domain/errors.js';
import { pinnedAgent, systemResolve } from './pinned-agent.js';
import {
  defaultEgressLimits,
  entryOf,
  refused,
  type ConnectionEntry,
  type EgressLimits,
  type EgressPolicy,
} from './policy.js';

/** A request; redirects are never followed. */
export interface EgressInit {
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | undefined;
  headers?: Readonly<Record<string, string>> | undefined;
  body?: string | Uint8Array | undefined;
  signal?: AbortSignal | undefined;
  /** Narrower caps for this call; wider ones have no effect. */
  limits?: Partial<EgressLimits> | undefined;
}

/** An answer, its body read whole and decompressed. Header names are lower case; repeated headers are joined by a comma. */
export interface EgressResponse {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: Uint8Array;
  /** The URL that answered. */
  url: string;
}

/** The only outbound client. @throws PlatformError EGRESS_REFUSED (policy), EGRESS_FAILED (network, time, size) */
export type EgressFetch = (url: string, init?: EgressInit) => Promise<EgressResponse>;

/** The egress of one policy. */
export interface Egress {
  fetch: EgressFetch;
  /** Ends idle connections. */
  close: () => Promise<void>;
}

/** An answer beyond the cap of the call; `maxBytes` in the extensions says so, other failures have none. */
const tooLarge = (maxBytes: number): PlatformError =>
  new PlatformError('EGRESS_FAILED', `the answer is larger than ${maxBytes} bytes`, {
    extensions: { maxBytes },
  });

const failed = (message: string, error?: unknown): PlatformError =>
  new PlatformError('EGRESS_FAILED', message, {
    ...(error instanceof Error ? { internal: error.message } : {}),
  });

function narrowed(limits: EgressLimits, wish: Partial<EgressLimits> = {}): EgressLimits {
  const least = (key: keyof EgressLimits) => Math.min(limits[key], wish[key] ?? limits[key]);
  return {
    maxBytes: least('maxBytes'),
    maxRatio: least('maxRatio'),
    timeoutMs: least('timeoutMs'),
    connectTimeoutMs: least('connectTimeoutMs'),
  };
}

const decoders: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

const judgedAboveBytes = 65_536;

/** Reads a body under its caps. One encoding at most: layers of them are a bomb's trick. */
async function readBody(
  body: Readable,
  encoding: string,
  limits: EgressLimits,
): Promise<Uint8Array> {
  let packedBytes = 0;
  let bytes = 0;
  const parts: Buffer[] = [];
  const make = encoding === '' || encoding === 'identity' ? undefined : decoders[encoding];
  if (make === undefined && encoding !== '' && encoding !== 'identity')
    throw failed(`the other side answered with encoding ${encoding.slice(0, 40)}`);
  body.on('data', (chunk: Buffer) => {
    packedBytes += chunk.length;
  });
  const decoder = make?.();
  if (decoder) body.on('error', (error) => decoder.destroy(error));
  try {
    for await (const chunk of (decoder ? body.pipe(decoder) : body) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > limits.maxBytes) throw tooLarge(limits.maxBytes);
      if (decoder && bytes > judgedAboveBytes && bytes > packedBytes * limits.maxRatio)
        throw failed(`the answer unpacks to more than ${limits.maxRatio} times its size`);
      parts.push(chunk);
    }
  } finally {
    decoder?.destroy();
    body.destroy();
  }
  return Buffer.concat(parts);
}

function plainHeaders(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  const plain: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(', ') : value;
  return plain;
}

async function send(
  agent: Agent,
  url: URL,
  { init, limits }: { init: EgressInit; limits: EgressLimits },
): Promise<EgressResponse> {
  const timeout = AbortSignal.timeout(limits.timeoutMs);
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
  try {
    const answer = await agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: init.method ?? 'GET',
      headers: { 'accept-encoding': 'gzip, deflate, br', 'user-agent': 'anneal', ...init.headers },
      body: init.body ?? null,
      signal,
      headersTimeout: limits.timeoutMs,
      bodyTimeout: limits.timeoutMs,
    });
    const headers = plainHeaders(answer.headers);
    const encoding = (headers['content-encoding'] ?? '').trim().toLowerCase();
    const declared = Number(headers['content-length'] ?? 0);
    if (declared > limits.maxBytes && init.method !== 'HEAD') {
      // A destroyed body reports its own end as an error that nobody waits for.
      answer.body.on('error', () => undefined).destroy();
      throw tooLarge(limits.maxBytes);
    }
    const bare = init.method === 'HEAD' || answer.statusCode === 204 || answer.statusCode === 304;
    const body = await readBody(answer.body, bare ? '' : encoding, limits);
    return { status: answer.statusCode, headers, body, url: url.href };
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    if (init.signal?.aborted === true) throw error;
    if (timeout.aborted) throw failed(`${url.host} did not answer in ${limits.timeoutMs} ms`);
    throw failed(`${url.host} could not be reached`, error);
  }
}

/**
 * The outbound client of a policy (reliability.md §6). A URL must match a connection entry by scheme, host and port;
 * every address of the host is checked and the checked one is dialled; redirects come back as they are; size, time and
 * decompression are capped; proxy variables are ignored. An abort by `init.signal` throws its reason.
 */
export function createEgress(policy: EgressPolicy): Egress {
  const limits: EgressLimits = { ...defaultEgressLimits, ...policy.limits };
  const resolve = policy.resolve ?? systemResolve;
  const agents = new Map<ConnectionEntry, Agent>();
  const agentOf = (entry: ConnectionEntry): Agent => {
    const known = agents.get(entry);
    if (known) return known;
    const agent = pinnedAgent({ entry, limits, resolve });
    agents.set(entry, agent);
    return agent;
  };
  return {
    fetch: async (written, init = {}) => {
      const { url, entry } = entryOf(policy.connections, written);
      init.signal?.throwIfAborted();
      return send(agentOf(entry), url, { init, limits: narrowed(limits, init.limits) });
    },
    close: async () => {
      const all = [...agents.values()];
      agents.clear();
      await Promise.all(all.map((agent) => agent.destroy()));
    },
  };
}

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const maxRedirects = 5;

/**
 * GET or HEAD with at most five redirects, each hop checked like the first. Headers that speak for the caller stay
 * behind when the origin changes; https never falls back to http.
 */
export async function fetchFollowing(
  fetch: EgressFetch,
  url: string,
  init: EgressInit & { method?: 'GET' | 'HEAD' | undefined } = {},
): Promise<EgressResponse> {
  let hop = url;
  let headers = init.headers;
  for (let hops = 0; hops <= maxRedirects; hops++) {
    const answer = await fetch(hop, { ...init, headers });
    const location = answer.headers['location'];
    if (!redirects.has(answer.status) || location === undefined) return answer;
    // Absolute targets stay as written, so that an odd notation is seen and refused.
    const target = /^[a-z][a-z0-9+.-]*:/i.test(location)
      ? location
      : new URL(location, answer.url).href;
    if (!URL.canParse(target)) throw refused('a redirect names no URL');
    const [from, to] = [new URL(answer.url), new URL(target)];
    if (from.protocol === 'https:' && to.protocol !== 'https:')
      throw refused('a redirect leaves https');
    if (from.origin !== to.origin) headers = withoutCredentials(headers);
    hop = target;
  }
  throw new PlatformError('EGRESS_FAILED', `more than ${maxRedirects} redirects`);
}

const withoutCredentials = (headers: EgressInit['headers']): EgressInit['headers'] =>
  headers &&
  Object.fromEntries(
    Object.entries(headers).filter(
      ([name]) => !/^(authorization|cookie|proxy-authorization|x-api-key|api-key)$/i.test(name),
    ),
  );
