import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(new URL('../../src/main/run-process.ts', import.meta.url));

/** What an expression is inside a process that was started as API and worker are. */
function inProcess(expression: string): unknown {
  const script = `
    import { runProcess } from ${JSON.stringify(entry)};
    await runProcess('test', async () => {
      console.log(JSON.stringify(${expression}));
      process.kill(process.pid, 'SIGTERM');
      return { stop: async () => undefined };
    });`;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', script];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

test('a process of ours has no accessor that leads from an object to its prototype', () => {
  const merged = `Object.assign({}, JSON.parse('{"__proto__":{"admin":true}}')).admin`;
  expect(inProcess(`['__proto__' in {}, ${merged}]`)).toEqual([false, null]);
});
