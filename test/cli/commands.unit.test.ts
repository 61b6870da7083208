import { readFileSync } from 'node:fs';
import type { CliDeps } from '../../src/cli/cli-deps.js';
import { exampleOf } from '../../src/cli/example-of.js';
import { operationsOf } from '../../src/cli/operations-of.js';
import { openCliWorld, type CliWorld } from './cli-world.js';

const document: unknown = JSON.parse(
  readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8'),
);
const operations = operationsOf(document);

/** The part of a route's example that goes into the body or an upload's options. */
const bodyOf = (content: string): unknown => (content === '' ? undefined : JSON.parse(content));

let world: CliWorld;
beforeAll(async () => {
  world = await openCliWorld();
  const send: CliDeps['send'] = (url, init) => fetch(url, init);
  world.deps = { document, send };
  world.answers({ status: 200, body: {} });
});
afterAll(() => world.close());

describe('every operation of openapi.json', () => {
  it('has a command of its own, and there is no other', async () => {
    const methods = (document as { paths: Record<string, object> }).paths;
    const count = Object.values(methods).flatMap((path) => Object.keys(path)).length;
    expect(count).toBeGreaterThan(30);
    expect(new Set(operations.map(({ id }) => id)).size).toBe(count);
  });

  it.each(operations.map((operation) => [operation.id, operation] as const))(
    '%s: its example is a valid call of its own endpoint',
    async (_id, operation) => {
      const { args, file } = exampleOf(operation);
      expect(args.join(' ')).not.toContain('<');
      const written = file && (await world.file(file.name, JSON.stringify(file.content)));
      const data = await world.file('data.csv', 'a\n1\n');
      const given = args.map((arg) =>
        arg === file?.name ? (written ?? arg) : arg === 'data.csv' ? data : arg,
      );
      world.ledger.length = 0;
      await world.anneal(...given, '--output', 'json');
      const [request] = world.ledger;
      const pattern = operation.path
        .replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&')
        .replaceAll(/\{[^}]+\}/g, '[^/]+');
      expect(request?.method).toBe(operation.method);
      expect(request?.url).toMatch(new RegExp(`^${pattern}(\\?|$)`));
      if (operation.body !== 'json') return;
      expect(bodyOf(request?.body ?? '')).toEqual(operation.example?.body ?? {});
    },
  );

  it.each(operations.map((operation) => [operation.noun, operation.verb]))(
    '%s %s --help ends with an example',
    async (noun, verb) => {
      const help = await world.anneal(noun, verb, '--help');
      expect(help.code).toBe(0);
      expect(help.out).toContain(`Example:\n  $ anneal ${noun} ${verb}`);
    },
  );

  it('shows every command in --help', async () => {
    const help = await world.anneal('--help');
    for (const { noun } of operations) expect(help.out).toContain(`  ${noun} `);
    expect(help.out).toContain('  doctor ');
    expect(help.out).toContain('$ anneal training-runs create --help');
  });

  it('shows help in the columns of the terminal', async () => {
    const nouns = operations.map(({ noun }) => [noun, '--help']);
    for (const args of [['--help'], ...nouns]) {
      const { out } = await world.anneal(...args);
      const lines = out.split('\n').filter((line) => line.length > 80);
      expect(lines).toEqual([]);
    }
  });
});
