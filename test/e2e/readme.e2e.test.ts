import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { childEnv } from '../../src/config.js';
import { startStack, type Stack } from '../support/stack.js';

const root = new URL('../..', import.meta.url).pathname;

/** Shell blocks of a Markdown text that carry the mark of what CI runs. */
const markedBlocks = (markdown: string): string[] =>
  [...markdown.matchAll(/<!-- ci -->\s*\n```sh\n([\s\S]*?)\n```/g)].map(([, block]) => block ?? '');

/** Runs a script to its end. */
async function runShell(script: string, env: Record<string, string>) {
  const child = spawn('bash', ['-eo', 'pipefail', '-c', script], { cwd: root, env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), 420_000);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  return { code, output };
}

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
    const script = blocks.map((block, at) => `echo "== block ${at + 1}"\n${block}`).join('\n\n');
    const { code, output } = await runShell(`${script}\necho "== end"`, childEnv(stack.env));
    expect({ code, output: output.slice(-3_000) }).toMatchObject({
      code: 0,
      output: expect.stringContaining('== end') as string,
    });
    const served = await stack.sql(`select state, count(*)::int as n from decision group by state`);
    expect(served).toEqual([{ state: 'SUCCEEDED', n: 81 }]);
  }, 480_000);
});
