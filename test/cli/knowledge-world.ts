import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { openCliWorld, type CliWorld } from './cli-world.js';

/** The collection of these tests, `handbook`. */
export const collectionId = 'col_01JZ8Q4T5V6W7X8Y9ZABCDEFGH';
/** Where its source is seen in the Temporal Web UI. */
export const ui = 'http://127.0.0.1:8233/namespaces/default/workflows/etl%2Fdefault%2Fsrc_1';

/** A collection as the platform answers it. */
export const collection = (of: object = {}) => ({
  id: collectionId,
  name: 'handbook',
  aclDefault: ['group:staff'],
  purposes: ['support'],
  liveGenerationId: 'gen_1',
  generations: [{ id: 'gen_1', embedder: 'hash-384', sink: 'lancedb', state: 'LIVE' }],
  ...of,
});
/** A source as the platform answers it. */
export const source = (of: object = {}) => ({
  id: 'src_1',
  name: 'docs',
  kind: 'folder',
  config: { path: '/srv/docs' },
  state: 'ACTIVE',
  backlog: { pending: 0, claimed: 0 },
  documents: 0,
  ...of,
});
/** One page of a list. */
export const page = (...items: object[]) => ({ items });
/** A refusal. */
export const problem = (status: number, code: string, more: object = {}) => ({
  status,
  body: { type: 't', title: 't', status, code, detail: `It is ${code}.`, next: 'Go on.', ...more },
});
/** An answer with a body. */
export const ok = (body: unknown) => ({ status: 200, body });

type Answer = { status: number; body: unknown };
type Api = Record<string, Answer | ((url: URL, body: string) => Answer)>;

/** A platform with an answer per method and path, and a ledger of what it was asked. */
interface Platform {
  asked: { call: string; query: string; body: string; headers: IncomingMessage['headers'] }[];
  api: Api;
  url: string;
  server: Server;
}

async function openPlatform(): Promise<Platform> {
  const asked: Platform['asked'] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (part: string) => (body += part));
    request.on('end', () => {
      const url = new URL(request.url ?? '', 'http://platform');
      const call = `${request.method} ${url.pathname}`;
      asked.push({ call, query: url.search, body, headers: request.headers });
      const found = platform.api[call] ?? problem(404, 'NOT_FOUND');
      const answer = typeof found === 'function' ? found(url, body) : found;
      response.statusCode = answer.status;
      response.end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const platform: Platform = { asked, api: {}, url, server };
  return platform;
}

/** A command line and the platform it talks to; the collection `handbook` is there. */
export interface KnowledgeWorld extends Platform {
  cli: CliWorld;
  anneal: CliWorld['anneal'];
  /** The JSON that the first request of a method and path carried. */
  bodyOf: (call: string) => unknown;
  /** From here on the platform is on another machine. */
  moveAway: () => void;
  close: () => Promise<void>;
}

/** Opens the world on a free port. */
export async function openKnowledgeWorld(): Promise<KnowledgeWorld> {
  const [cli, platform] = await Promise.all([openCliWorld(), openPlatform()]);
  const { asked, api, url, server } = platform;
  cli.deps = { apiUrl: url };
  Object.assign(api, {
    'GET /v1/collections': ({ searchParams }: URL) =>
      ok(['handbook', null].includes(searchParams.get('name')) ? page(collection()) : page()),
    [`GET /v1/collections/${collectionId}`]: ok(collection()),
  });
  return {
    ...platform,
    cli,
    anneal: cli.anneal,
    bodyOf: (call): unknown => JSON.parse(asked.find((one) => one.call === call)?.body ?? 'null'),
    moveAway: () => {
      const away = 'https://anneal.example.com';
      cli.deps = { apiUrl: away, send: (to, init) => fetch(to.replace(away, url), init) };
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await cli.close();
    },
  };
}
