import { PlatformError } from '../../domain/errors.js';
import { embedFp } from '../../domain/etl/embed-fp.js';
import type { Embedder, EmbedderLimits, EmbedKind } from '../../domain/etl/embedder.js';
import { subBatches } from '../../domain/etl/sub-batches.js';
import type { Secret } from '../../domain/secrets.js';
import { countTokens } from './count-tokens.js';
import { readVectors } from './read-vectors.js';
import { failureOfAnswer } from './provider-failure.js';

/** The egress fetch, as far as this client needs it. */
type ProviderFetch = (
  url: string,
  init: {
    method: 'POST';
    headers: Record<string, string>;
    body: string;
    signal: AbortSignal;
    limits: { timeoutMs: number };
  },
) => Promise<{ status: number; headers: Readonly<Record<string, string>>; body: Uint8Array }>;

/** What one request may cost, before it is sent. */
interface EmbedCost {
  inputs: number;
  /** By our own count; the provider's follows in {@link EmbedCharge}. */
  tokens: number;
}

/** What the provider charged. `tokens`: its own count where it gave one. */
interface EmbedCharge extends EmbedCost {
  model: string;
}

/** Where the money is held and settled. A refusal of `reserve` (a PlatformError) ends the call before it is sent. */
interface EmbedBudget {
  reserve: (cost: EmbedCost, signal: AbortSignal) => Promise<string>;
  /** `charge` undefined: nothing was charged, the hold is given back. `unknown`: sent without an answer, keep the hold. */
  settle: (hold: string, charge: EmbedCharge | 'unknown' | undefined) => Promise<void>;
}

const openBudget: EmbedBudget = { reserve: async () => '', settle: async () => undefined };

/** OpenAI's own: 2,048 inputs, 8,192 tokens each, 300,000 tokens a request. */
const openAiLimits: EmbedderLimits = {
  maxInputs: 2_048,
  maxTokensPerInput: 8_192,
  maxTokensPerRequest: 300_000,
};

/** What a client is made of. `fetch` is bound to the provider's connection entry. */
export interface OpenAiEmbedderOptions {
  fetch: ProviderFetch;
  /** Up to and without `/embeddings`. */
  baseUrl: string;
  model: string;
  /** Of the model, as the operator knows it: part of `embed_fp`. */
  revision?: string | undefined;
  /** UTF-8 bytes of the bearer token; undefined for servers that want none. */
  apiKey?: Secret | undefined;
  dims: number;
  /** Sends `dimensions`: only for models that shorten their vectors. */
  sendDims?: boolean | undefined;
  limits?: Partial<EmbedderLimits> | undefined;
  /** What the provider allows the account; kept by whoever calls, for all processes together. */
  rate?: Embedder['rate'];
  prefixes?: { document: string; query: string } | undefined;
  /** For one request; default 30 s. */
  timeoutMs?: number | undefined;
  budget?: EmbedBudget | undefined;
  /** Called once for each request that the provider charged, before its vectors are handed on. */
  onCharged?: ((charge: EmbedCharge) => void) | undefined;
}

interface Client extends OpenAiEmbedderOptions {
  limits: EmbedderLimits;
  budget: EmbedBudget;
  timeoutMs: number;
}

interface Input {
  /** Position in the texts of the caller. */
  at: number;
  text: string;
  tokens: number;
}

const refusedInput = (at: number, why: string): PlatformError =>
  new PlatformError('EMBEDDER_REFUSED_INPUT', `the embedder refuses text ${at}: ${why}`, {
    extensions: { index: at },
  });

async function send(client: Client, inputs: readonly Input[], signal: AbortSignal) {
  const { apiKey } = client;
  const cost = {
    inputs: inputs.length,
    tokens: inputs.reduce((sum, { tokens }) => sum + tokens, 0),
  };
  const hold = await client.budget.reserve(cost, signal);
  // Until the answer is read nobody knows whether the call was charged.
  let charge: EmbedCharge | 'unknown' | undefined = 'unknown';
  try {
    const answer = await client.fetch(`${client.baseUrl.replace(/\/$/, '')}/embeddings`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(apiKey ? { authorization: `Bearer ${Buffer.from(apiKey.reveal()).toString()}` } : {}),
      },
      body: JSON.stringify({
        model: client.model,
        input: inputs.map(({ text }) => text),
        encoding_format: 'base64',
        ...(client.sendDims === true ? { dimensions: client.dims } : {}),
      }),
      signal,
      limits: { timeoutMs: client.timeoutMs },
    });
    if (answer.status !== 200) charge = undefined;
    const failure = failureOfAnswer(answer);
    if (failure !== undefined) return failure;
    const read = readVectors(answer.body, inputs.length);
    charge = { inputs: inputs.length, tokens: read.tokens ?? cost.tokens, model: client.model };
    client.onCharged?.(charge);
    return read.vectors;
  } catch (error) {
    if (error instanceof PlatformError && error.code.startsWith('EGRESS_'))
      throw new PlatformError(
        error.code === 'EGRESS_REFUSED' ? 'EMBEDDER_MISCONFIGURED' : 'EMBEDDER_UNAVAILABLE',
        error.message,
        { internal: error.internal },
      );
    throw error;
  } finally {
    await client.budget.settle(hold, charge);
  }
}

/** Sends one run; where the provider refuses it for its content, halves it until one text is left to name. */
async function sendRun(
  client: Client,
  inputs: readonly Input[],
  signal: AbortSignal,
): Promise<Float32Array[]> {
  signal.throwIfAborted();
  const outcome = await send(client, inputs, signal);
  if (Array.isArray(outcome)) return outcome;
  if (outcome.kind === 'failed') throw outcome.error;
  const [first] = inputs;
  if (inputs.length <= 1) throw refusedInput(first?.at ?? 0, outcome.reason);
  const middle = Math.ceil(inputs.length / 2);
  const front = await sendRun(client, inputs.slice(0, middle), signal);
  return [...front, ...(await sendRun(client, inputs.slice(middle), signal))];
}

/**
 * Client of any OpenAI-compatible `POST /embeddings`. Requests are split by {@link EmbedderLimits}; a text above
 * `maxTokensPerInput` is refused unsent, never cut. There are no retries inside: the activity owns them, a rate limit
 * comes back at once with `retryAfterMs` in `extensions`. A vector of wrong dimensions or with NaN is returned AS IT IS:
 * check with `badVectors` and quarantine its text (`bad_vector`). An undefined entry: the text is empty.
 * Failures besides those of the port: what `budget.reserve` throws; the reason of the signal.
 * EMBEDDER_REFUSED_INPUT carries `extensions.index`, the position in `texts`.
 */
export function createOpenAiEmbedder(options: OpenAiEmbedderOptions): Embedder {
  const limits = { ...openAiLimits, ...options.limits };
  const prefixes = options.prefixes ?? { document: '', query: '' };
  const client: Client = {
    ...options,
    limits,
    budget: options.budget ?? openBudget,
    timeoutMs: options.timeoutMs ?? 30_000,
  };
  return {
    id: `openai:${options.model}`,
    embedFp: embedFp({
      provider: `openai-compatible:${new URL(options.baseUrl).host}`,
      model: options.model,
      revision: options.revision ?? '',
      dims: options.dims,
      prefixes,
      pooling: 'provider',
      normalisation: 'none',
      quantisation: 'none',
    }),
    dims: options.dims,
    memo: true,
    limits,
    rate: options.rate,
    embed: async (texts, kind: EmbedKind, signal) => {
      const inputs: Input[] = texts.flatMap((plain, at) => {
        if (plain.trim() === '') return [];
        const text = prefixes[kind] + plain;
        return [{ at, text, tokens: countTokens(text) }];
      });
      for (const { at, tokens } of inputs)
        if (tokens > limits.maxTokensPerInput)
          throw refusedInput(at, `${tokens} tokens, at most ${limits.maxTokensPerInput}`);
      const vectors: (Float32Array | undefined)[] = texts.map(() => undefined);
      const counts = inputs.map(({ tokens }) => tokens);
      for (const { start, end } of subBatches(counts, limits)) {
        const run = inputs.slice(start, end);
        const found = await sendRun(client, run, signal);
        run.forEach(({ at }, position) => {
          vectors[at] = found[position];
        });
      }
      return vectors;
    },
  };
}
