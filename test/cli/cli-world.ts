import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CliDeps } from '../../src/cli/cli-deps.js';
import { runCli } from '../../src/cli/run-cli.js';
import { sampleDocument } from './sample-document.js';

/** One request as the server received it. */
interface Received {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** What the server answers next; the last one repeats. */
interface Scripted {
  status: number;
  body: unknown;
}

/** A server with a ledger, and a command line that talks to it. */
export interface CliWorld {
  apiUrl: string;
  ledger: Received[];
  answers: (...scripted: Scripted[]) => void;
  /** Writes a file and answers its path. */
  file: (name: string, content: string) => Promise<string>;
  anneal: (...args: string[]) => Promise<{ code: number; out: string; err: string }>;
  /** What the next commands are given from outside. */
  deps: Partial<CliDeps>;
  stdin: string;
  close: () => Promise<void>;
}

const ioOf = (world: CliWorld, out: string[], err: string[]): CliDeps['io'] => ({
  out: (text) => out.push(text),
  err: (text) => err.push(text),
  isTerminal: true,
  columns: 80,
  paint: (_style, text) => text,
  readStdin: async () => world.stdin,
});

const refused = () => Promise.reject(new Error('no database here'));
const noBackup = { create: refused, verify: refused, restore: refused };

/** Opens the world on a free port. */
export async function openCliWorld(): Promise<CliWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'anneal-cli-'));
  const ledger: Received[] = [];
  let script: Scripted[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      ledger.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      const next = script.length > 1 ? script.shift() : script[0];
      response.statusCode = next?.status ?? 500;
      response.end(JSON.stringify(next?.body ?? {}));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let nowMs = 0;
  const world: CliWorld = {
    apiUrl,
    ledger,
    deps: {},
    stdin: '',
    answers: (...scripted) => {
      script = scripted;
    },
    file: async (name, content) => {
      const path = join(folder, name);
      await writeFile(path, content);
      return path;
    },
    anneal: async (...args) => {
      const out: string[] = [];
      const err: string[] = [];
      const code = await runCli(args, {
        document: sampleDocument,
        version: '9.9.9',
        apiUrl,
        apiKey: 'key-of-the-environment',
        keysPath: '.anneal/keys.json',
        readKeys: async () => undefined,
        send: (url, init) => fetch(url, init),
        io: ioOf(world, out, err),
        newKey: () => 'minted-key',
        nowMs: () => nowMs,
        pause: async (ms) => {
          nowMs += ms;
        },
        probes: () => Promise.resolve([]),
        backup: noBackup,
        ...world.deps,
      });
      return { code, out: out.join('\n'), err: err.join('\n') };
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
  return world;
}
