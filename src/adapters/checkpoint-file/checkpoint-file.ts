import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { Checkpoint } from '../../domain/audit/chain.js';

const lineSchema = z.object({
  v: z.literal(1),
  origin: z.string(),
  tenant: z.string(),
  size: z.int().positive(),
  headHash: z.string().regex(/^[0-9a-f]{64}$/),
  at: z.string(),
});

/** One line as a checkpoint; undefined for the torn line of a crash. */
function parseLine(line: string): Checkpoint | undefined {
  try {
    const parsed = lineSchema.safeParse(JSON.parse(line));
    if (!parsed.success) return undefined;
    const { origin, tenant, size, headHash, at } = parsed.data;
    return { origin, tenant, size, headHash, at };
  } catch {
    return undefined;
  }
}

/**
 * Checkpoints in one append-only file, a JSON line each, mode 0600: the witness outside the database. A line is on the
 * disk before `append` resolves.
 */
export const createCheckpointFile = (path: string) => ({
  /** Appends checkpoints; a line that a crash tore stays behind by itself, the next one starts on a line of its own. */
  append: async (checkpoints: readonly Checkpoint[]): Promise<void> => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, 'a+', 0o600);
    try {
      const { size } = await file.stat();
      const last = Buffer.alloc(1);
      if (size > 0) await file.read(last, 0, 1, size - 1);
      const torn = size > 0 && last.toString() !== '\n';
      const lines = checkpoints.map((checkpoint) => `${JSON.stringify({ v: 1, ...checkpoint })}\n`);
      await file.appendFile(`${torn ? '\n' : ''}${lines.join('')}`);
      await file.sync();
    } finally {
      await file.close();
    }
  },

  /** All checkpoints in order of writing; none before the first. */
  read: async (): Promise<Checkpoint[]> => {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENOENT') return [];
      throw error;
    }
    return text
      .split('\n')
      .map(parseLine)
      .filter((checkpoint) => checkpoint !== undefined);
  },
});
