import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { Checkpoint } from '../../domain/audit/chain.js';

const lineSchema = z.object({
  v: z.literal(1),
  origin: z.string(),
  tenant: z.string(),
  size: z.int().nonnegative(),
  headHash: z.string().regex(/^[0-9a-f]{64}$/),
  at: z.string(),
  /** The backup that the database was restored from: what was witnessed beyond this size is gone. */
  restored: z.string().optional(),
});
type Line = z.infer<typeof lineSchema>;

/** One line as a checkpoint; undefined for the torn line of a crash. */
function parseLine(line: string): Line | undefined {
  try {
    const parsed = lineSchema.safeParse(JSON.parse(line));
    if (!parsed.success) return undefined;
    return parsed.data;
  } catch {
    return undefined;
  }
}

/** A restore as it was witnessed: the chain ends here, and what was witnessed beyond is gone. */
interface RestoredChain extends Checkpoint {
  /** The backup that it was restored from. */
  restored: string;
}

/** What still binds a chain: a restore sets aside what was witnessed beyond it, and binds the chain from there on. */
function inForce(lines: readonly Line[]): Checkpoint[] {
  let kept: Checkpoint[] = [];
  for (const { restored, origin, tenant, size, headHash, at } of lines) {
    if (restored !== undefined)
      kept = kept.filter((earlier) => earlier.tenant !== tenant || earlier.size <= size);
    if (size > 0) kept.push({ origin, tenant, size, headHash, at });
  }
  return kept;
}

/**
 * Checkpoints in one append-only file, a JSON line each, mode 0600: the witness outside the database. A line is on the
 * disk before `append` resolves.
 */
export function createCheckpointFile(path: string) {
  const appendLines = async (written: readonly (Checkpoint | RestoredChain)[]): Promise<void> => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, 'a+', 0o600);
    try {
      const { size } = await file.stat();
      const last = Buffer.alloc(1);
      if (size > 0) await file.read(last, 0, 1, size - 1);
      const torn = size > 0 && last.toString() !== '\n';
      const lines = written.map((line) => `${JSON.stringify({ v: 1, ...line })}\n`);
      await file.appendFile(`${torn ? '\n' : ''}${lines.join('')}`);
      await file.sync();
    } finally {
      await file.close();
    }
  };
  const readLines = async (): Promise<Line[]> => {
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
      .filter((line) => line !== undefined);
  };
  return {
    /** Appends checkpoints; a line that a crash tore stays behind by itself, the next one starts on a line of its own. */
    append: (checkpoints: readonly Checkpoint[]): Promise<void> => appendLines(checkpoints),
    /** Says that chains were restored to an earlier point; nothing of the file is removed. */
    appendRestored: (chains: readonly RestoredChain[]): Promise<void> => appendLines(chains),
    /** All checkpoints that bind, in order of writing; none before the first. */
    read: async (): Promise<Checkpoint[]> => inForce(await readLines()),
    /** Every restore that was witnessed, in order. */
    readRestored: async (): Promise<RestoredChain[]> =>
      (await readLines()).flatMap(({ restored, origin, tenant, size, headHash, at }) =>
        restored === undefined ? [] : [{ origin, tenant, size, headHash, at, restored }],
      ),
  };
}
