import { readFile } from 'node:fs/promises';
import { childEnv } from '../../src/config.js';
import { markedBlocks, runShell, scriptOf } from '../support/marked-blocks.js';
import { startStack, type Stack } from '../support/stack.js';

const root = new URL('../..', import.meta.url).pathname;

let stack: Stack;
let blocks: string[];
beforeAll(async () => {
  blocks = markedBlocks(await readFile(`${root}README.md`, 'utf8'));
  stack = await startStack();
  // What the tour leaves behind: one key per role.
  await stack.people();
}, 600_000);
afterAll(() => stack.close(), 120_000);

describe('the README', () => {
  it('marks the commands from a CSV to a rollback', () => {
    expect(blocks.length).toBeGreaterThanOrEqual(10);
    for (const part of [
      'snapshots',
      'training-runs',
      ':decide',
      'releases',
      'inferences',
      'rollbacks',
    ])
      expect(blocks.join('\n')).toContain(part);
  });

  it('has commands that all work, in order, in one shell', async () => {
    const { code, output } = await runShell(scriptOf(blocks), childEnv(stack.env));
    expect({ code, output: output.slice(-3_000) }).toMatchObject({
      code: 0,
      output: expect.stringContaining('== end') as string,
    });
    const served = await stack.sql(`select state, count(*)::int as n from decision group by state`);
    expect(served).toEqual([{ state: 'SUCCEEDED', n: 81 }]);
  }, 480_000);
});
