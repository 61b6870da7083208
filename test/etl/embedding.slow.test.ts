import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createEgress } from '../../src/adapters/egress/create-egress.js';
import {
  createOpenAiEmbedder,
  type OpenAiEmbedderOptions,
} from '../../src/adapters/embedding-openai/create-openai-embedder.js';
import { PlatformError } from '../../src/domain/errors.js';
import { hash384 } from '../../src/domain/etl/hash-384.js';
import { badVectors } from '../../src/domain/etl/vector-check.js';
import { Secret } from '../../src/domain/secrets.js';
import {
  readLedger,
  startEmbeddingProvider,
  type ProviderOptions,
} from '../support/servers/embedding-provider.js';

const endings: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});
const never = new AbortController().signal;

function ledgerFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'anneal-provider-'));
  endings.push(() => rmSync(folder, { recursive: true }));
  return join(folder, 'ledger.jsonl');
}

function clientOf(
  of: { port: number; baseUrl: string },
  more: Partial<OpenAiEmbedderOptions> = {},
) {
  const egress = createEgress({
    connections: [{ scheme: 'http', host: '127.0.0.1', port: of.port, allowLoopback: true }],
  });
  endings.push(() => egress.close());
  return createOpenAiEmbedder({
    fetch: egress.fetch,
    baseUrl: of.baseUrl,
    model: 'fake',
    dims: 384,
    ...more,
  });
}

async function start(
  behaviour: Partial<ProviderOptions> = {},
  more: Partial<OpenAiEmbedderOptions> = {},
) {
  const provider = await startEmbeddingProvider({ ledgerFile: ledgerFile(), ...behaviour });
  endings.push(() => provider.close());
  return { provider, embedder: clientOf(provider, more) };
}

const sha = (text: string) => createHash('sha256').update(text).digest('hex');

describe('the OpenAI-compatible embedder', () => {
  it.each([false, true])(
    'reads base64 and float arrays alike (floats only: %s)',
    async (floatsOnly) => {
      const { provider, embedder } = await start(
        { floatsOnly, apiKey: 'k-1' },
        {
          apiKey: new Secret(Buffer.from('k-1')),
        },
      );
      const texts = ['durable workflows', ' ', 'vector search'];
      expect(await embedder.embed(texts, 'document', never)).toEqual([
        hash384('durable workflows'),
        undefined,
        hash384('vector search'),
      ]);
      expect(provider.ledger().map(({ inputs }) => inputs)).toEqual([
        [sha('durable workflows'), sha('vector search')],
      ]);
    },
  );

  it('puts the prefix of the kind before each text, and has a fingerprint that knows it', async () => {
    const { provider, embedder } = await start(
      {},
      {
        prefixes: { document: 'passage: ', query: 'query: ' },
      },
    );
    await embedder.embed(['durable'], 'document', never);
    await embedder.embed(['durable'], 'query', never);
    expect(provider.ledger().map(({ inputs }) => inputs)).toEqual([
      [sha('passage: durable')],
      [sha('query: durable')],
    ]);
    const others = [{ model: 'b' }, { revision: '2' }, { dims: 385 }, {}].map(
      (more) => clientOf(provider, more).embedFp,
    );
    expect(new Set([embedder.embedFp, ...others]).size).toBe(5);
  });

  it('splits by inputs and by tokens, and refuses a text that is too long unsent', async () => {
    const limits = { maxInputs: 3, maxTokensPerInput: 10, maxTokensPerRequest: 12 };
    const { provider, embedder } = await start({}, { limits });
    const short = Array.from({ length: 7 }, (_, at) => `word ${at}`);
    expect(await embedder.embed(short, 'document', never)).toEqual(short.map(hash384));
    expect(provider.sizes()).toEqual([3, 3, 1]);
    await embedder.embed(
      Array.from({ length: 3 }, () => 'one two three four five'),
      'document',
      never,
    );
    expect(provider.sizes().slice(3)).toEqual([2, 1]);
    await expect(
      embedder.embed(
        ['fine', 'one two three four five six seven eight nine ten eleven'],
        'document',
        never,
      ),
    ).rejects.toMatchObject({ code: 'EMBEDDER_REFUSED_INPUT', extensions: { index: 1 } });
    expect(provider.calls()).toBe(5);
  });

  it('counts a marker of the model inside a document as text', async () => {
    const { embedder } = await start();
    expect(await embedder.embed(['<|endoftext|> durable'], 'document', never)).toHaveLength(1);
  });

  it.each([0, 1, 12, 15])('bisects a refused request to its one text (%s of 16)', async (bad) => {
    const { provider, embedder } = await start({ refuse: 'forbidden' });
    const texts = Array.from({ length: 16 }, (_, at) => (at === bad ? 'forbidden' : `fine ${at}`));
    await expect(embedder.embed(texts, 'document', never)).rejects.toMatchObject({
      code: 'EMBEDDER_REFUSED_INPUT',
      extensions: { index: bad },
    });
    expect(provider.calls()).toBeLessThanOrEqual(9);
    expect(provider.ledger().flatMap(({ inputs }) => inputs)).not.toContain(sha('forbidden'));
  });

  it('says at once when to come back, and repeats nothing by itself', async () => {
    const { provider, embedder } = await start({ script: ['rate_limit', 'unavailable', 'none'] });
    const call = () => embedder.embed(['durable'], 'document', never);
    await expect(call()).rejects.toMatchObject({
      code: 'EMBEDDER_RATE_LIMITED',
      extensions: { retryAfterMs: 1_000 },
    });
    await expect(call()).rejects.toMatchObject({ code: 'EMBEDDER_UNAVAILABLE' });
    expect(provider.calls()).toBe(2);
    expect(provider.ledger()).toHaveLength(0);
    expect(await call()).toEqual([hash384('durable')]);
  });

  it('ends a call that hangs at its deadline, and at once when its caller gives up', async () => {
    const { embedder } = await start({ script: ['hang', 'hang'] }, { timeoutMs: 200 });
    await expect(embedder.embed(['durable'], 'document', never)).rejects.toMatchObject({
      code: 'EMBEDDER_UNAVAILABLE',
    });
    const controller = new AbortController();
    const call = embedder.embed(['durable'], 'document', controller.signal);
    controller.abort(new Error('given up'));
    await expect(call).rejects.toThrow('given up');
  });

  it.each([
    ['wrong_dims', 'wrong_dims'],
    ['nan', 'not_finite'],
  ] as const)('hands on a vector with %s for its caller to quarantine', async (fault, found) => {
    const { embedder } = await start({ script: [fault] });
    const vectors = await embedder.embed(['durable', 'workflow'], 'document', never);
    expect(badVectors(vectors, embedder.dims)).toEqual([
      { index: 0, fault: found },
      { index: 1, fault: found },
    ]);
    const again = await embedder.embed(['durable', '…'], 'document', never);
    expect(badVectors(again, embedder.dims)).toEqual([]);
  });

  it('names a wrong key or address as a matter of configuration, without showing the key', async () => {
    const { embedder, provider } = await start(
      { apiKey: 'right' },
      {
        apiKey: new Secret(Buffer.from('wrong-key')),
      },
    );
    const error = await embedder.embed(['x'], 'document', never).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'EMBEDDER_MISCONFIGURED' });
    expect(JSON.stringify(error) + String(error)).not.toContain('wrong-key');
    const elsewhere = clientOf({ port: provider.port, baseUrl: 'http://169.254.169.254/v1' });
    await expect(elsewhere.embed(['x'], 'document', never)).rejects.toMatchObject({
      code: 'EMBEDDER_MISCONFIGURED',
    });
  });

  it('holds before it sends, settles what was charged, gives back what was not, keeps what is unknown', async () => {
    const settled: [string, unknown][] = [];
    const charges: number[] = [];
    let holds = 0;
    const { provider, embedder } = await start(
      { script: ['none', 'rate_limit', 'hang'] },
      {
        timeoutMs: 200,
        onCharged: ({ inputs }) => charges.push(inputs),
        budget: {
          reserve: async () => {
            if (holds === 3) throw new PlatformError('FORBIDDEN', 'spent');
            return `hold ${++holds}`;
          },
          settle: async (hold, charge) => {
            settled.push([hold, typeof charge === 'object' ? charge.inputs : charge]);
          },
        },
      },
    );
    for (let call = 0; call < 4; call++)
      await embedder.embed(['durable', 'workflow'], 'document', never).catch(() => undefined);
    expect(settled).toEqual([
      ['hold 1', 2],
      ['hold 2', undefined],
      ['hold 3', 'unknown'],
    ]);
    expect(charges).toEqual([2]);
    expect(provider.calls()).toBe(3);
  });
});

describe('the fake provider', () => {
  it('fails the same calls for the same seed, every 20th with a 429', async () => {
    const run = async () => {
      const { embedder, provider } = await start({
        seed: 7,
        rateLimitEvery: 20,
        rates: { unavailable: 0.2 },
      });
      const outcomes: string[] = [];
      for (let call = 0; call < 40; call++)
        outcomes.push(
          await embedder.embed([`text ${call}`], 'document', never).then(
            () => 'ok',
            (error: unknown) => (error as PlatformError).code,
          ),
        );
      expect(provider.ledger()).toHaveLength(outcomes.filter((outcome) => outcome === 'ok').length);
      return outcomes;
    };
    const first = await run();
    expect([first[19], first[39]]).toEqual(['EMBEDDER_RATE_LIMITED', 'EMBEDDER_RATE_LIMITED']);
    expect(first).toContain('EMBEDDER_UNAVAILABLE');
    expect(await run()).toEqual(first);
  });

  it('keeps its books over a kill of its process', async () => {
    const file = ledgerFile();
    const script = fileURLToPath(
      new URL('../support/servers/embedding-provider.ts', import.meta.url),
    );
    const child = spawn(
      process.execPath,
      [
        '--import',
        createRequire(import.meta.url).resolve('tsx'),
        script,
        JSON.stringify({ ledgerFile: file }),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const exit = once(child, 'exit');
    endings.push(async () => {
      child.kill('SIGKILL');
      await exit;
    });
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const embedder = clientOf(JSON.parse(line) as { port: number; baseUrl: string });
    expect(await embedder.embed(['durable'], 'document', never)).toEqual([hash384('durable')]);
    child.kill('SIGKILL');
    await exit;
    expect(readLedger(file)).toEqual([
      { at: expect.any(String) as string, inputs: [sha('durable')] },
    ]);
    await expect(embedder.embed(['durable'], 'document', never)).rejects.toMatchObject({
      code: 'EMBEDDER_UNAVAILABLE',
    });
  });
});
