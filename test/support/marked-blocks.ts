import { spawn } from 'node:child_process';

const root = new URL('../..', import.meta.url).pathname;

/** Shell blocks of a Markdown text that carry a mark of what CI runs, `<!-- ci -->` unless another is named. */
export const markedBlocks = (markdown: string, mark = 'ci'): string[] =>
  [...markdown.matchAll(/<!-- ([a-z: ]+) -->\s*\n```sh\n([\s\S]*?)\n```/g)]
    .filter(([, found]) => found === mark)
    .map(([, , block]) => block ?? '');

/** Runs a script to its end in the project's folder; a command of it that fails ends it. */
export async function runShell(
  script: string,
  env: Record<string, string>,
): Promise<{ code: number | null; output: string }> {
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

/** Blocks as one script that says where it is; `== end` is printed where all of them worked. */
export const scriptOf = (blocks: readonly string[]): string =>
  [...blocks.map((block, at) => `echo "== block ${at + 1}"\n${block}`), 'echo "== end"'].join(
    '\n\n',
  );
