import { pause } from '../pause.js';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pathToFileURL } from 'node:url';
import { hash384, hash384Dims } from '../../../src/domain/etl/hash-384.js';
import { createRandom } from '../../../src/domain/evaluation/random.js';

/** What the provider does with one call. */
export type ProviderFault = 'none' | 'rate_limit' | 'unavailable' | 'hang' | 'wrong_dims' | 'nan';

/** How a fake provider behaves. Everything follows from the options and the number of the call, from 1. */
export interface ProviderOptions {
  /** One JSON line for each paid call, synced before the answer leaves. */
  ledgerFile: string;
  seed?: number | undefined;
  /** Every n-th call answers 429 with `Retry-After: 1`; 0 never. */
  rateLimitEvery?: number | undefined;
  /** Share of the other calls that fail, 0 to 1, by kind. */
  rates?: { unavailable?: number; hang?: number; wrong_dims?: number; nan?: number } | undefined;
  /** Faults of the first calls, in order; the seed rules after them. */
  script?: readonly ProviderFault[] | undefined;
  /** A call that holds a text with this in it is refused with 400. */
  refuse?: string | undefined;
  latencyMs?: number | undefined;
  latencyPerInputMs?: number | undefined;
  /** Answers float arrays whatever was asked for, as some servers do. */
  floatsOnly?: boolean | undefined;
  /** Another model in silence: turns every vector. */
  drifted?: boolean | undefined;
  /** A port that was its own before; any free one unless named. */
  port?: number | undefined;
  /** Bearer token to insist on. */
  apiKey?: string | undefined;
}

/** A paid call as the provider's own books have it. */
export interface LedgerLine {
  at: string;
  /** SHA-256 of each text, in order. */
  inputs: string[];
}

export interface EmbeddingProvider {
  /** For the client: up to and without `/embeddings`. */
  baseUrl: string;
  port: number;
  calls: () => number;
  /** Number of texts of each call that came in, paid or not. */
  sizes: () => number[];
  ledger: () => LedgerLine[];
  close: () => Promise<void>;
}

/** Lines of a ledger; a last line that a kill cut short was never answered and does not count. */
export function readLedger(file: string): LedgerLine[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.slice(0, -1).map((line) => JSON.parse(line) as LedgerLine);
}

function faultOf(options: ProviderOptions, call: number): ProviderFault {
  const scripted = options.script?.[call - 1];
  if (scripted !== undefined) return scripted;
  const every = options.rateLimitEvery ?? 0;
  if (every > 0 && call % every === 0) return 'rate_limit';
  let draw = createRandom(options.seed ?? 1, `call ${call}`).uniform();
  for (const kind of ['unavailable', 'hang', 'wrong_dims', 'nan'] as const) {
    draw -= options.rates?.[kind] ?? 0;
    if (draw < 0) return kind;
  }
  return 'none';
}

function vectorFor(text: string, options: ProviderOptions, fault: ProviderFault): Float32Array {
  const vector = hash384(text) ?? Float32Array.from({ length: hash384Dims }, () => 0.05);
  if (fault === 'wrong_dims') return vector.subarray(0, 100);
  if (fault === 'nan') return vector.map((value, at) => (at === 7 ? NaN : value));
  return options.drifted === true
    ? vector.map((value, at) => value + (at % 2 === 0 ? 0.05 : -0.05))
    : vector;
}

const base64Of = (vector: Float32Array): string => {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((value, at) => bytes.writeFloatLE(value, at * 4));
  return bytes.toString('base64');
};

interface Asked {
  model?: string;
  input: string[];
  encoding_format?: string;
}

async function readAsked(request: IncomingMessage): Promise<Asked> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString()) as Asked;
}

const say = (response: ServerResponse, status: number, body: object): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

const problem = (code: string) => ({ error: { code, type: 'fake', message: code, param: null } });

/** Starts the provider on a free port of the loopback. */
export async function startEmbeddingProvider(options: ProviderOptions): Promise<EmbeddingProvider> {
  const ledger = openSync(options.ledgerFile, 'a', 0o600);
  const sizes: number[] = [];
  const pay = (inputs: readonly string[]) => {
    const line: LedgerLine = {
      at: new Date().toISOString(),
      inputs: inputs.map((text) => createHash('sha256').update(text).digest('hex')),
    };
    writeSync(ledger, `${JSON.stringify(line)}\n`);
    fsyncSync(ledger);
  };
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    if (request.method !== 'POST' || request.url !== '/v1/embeddings')
      return say(response, 404, problem('not_found'));
    if (
      options.apiKey !== undefined &&
      request.headers.authorization !== `Bearer ${options.apiKey}`
    )
      return say(response, 401, problem('invalid_api_key'));
    const asked = await readAsked(request);
    sizes.push(asked.input.length);
    const fault = faultOf(options, sizes.length);
    if (fault === 'rate_limit') {
      response.setHeader('retry-after', '1');
      return say(response, 429, problem('rate_limit_exceeded'));
    }
    if (fault === 'unavailable') return say(response, 503, problem('server_error'));
    if (fault === 'hang') return undefined;
    const { refuse } = options;
    if (refuse !== undefined && asked.input.some((text) => text.includes(refuse)))
      return say(response, 400, problem('content_filter'));
    await pause((options.latencyMs ?? 0) + asked.input.length * (options.latencyPerInputMs ?? 0));
    pay(asked.input);
    const asFloats = options.floatsOnly === true || asked.encoding_format !== 'base64';
    const tokens = asked.input.reduce((sum, text) => sum + Math.ceil(text.length / 4), 0);
    return say(response, 200, {
      object: 'list',
      model: asked.model,
      data: asked.input.map((text, index) => {
        const vector = vectorFor(text, options, fault);
        return { object: 'embedding', index, embedding: asFloats ? [...vector] : base64Of(vector) };
      }),
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    });
  };
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    port,
    calls: () => sizes.length,
    sizes: () => [...sizes],
    ledger: () => readLedger(options.ledgerFile),
    close: async () => {
      if (!server.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      closeSync(ledger);
    },
  };
}

// As its own process: `tsx test/support/servers/embedding-provider.ts '<options as JSON>'` prints one line of JSON with
// `port` and `baseUrl`, and runs until it is ended.
if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { port, baseUrl } = await startEmbeddingProvider(
    JSON.parse(process.argv[2] ?? '{}') as ProviderOptions,
  );
  console.log(JSON.stringify({ port, baseUrl }));
}
