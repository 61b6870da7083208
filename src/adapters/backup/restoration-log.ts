import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const NAME = 'restorations.jsonl';

const lineSchema = z.object({
  v: z.literal(1),
  /** UTC, ISO 8601. */
  at: z.iso.datetime(),
  backupId: z.string(),
  /** Epochs of that restored life begin at this many thousands. */
  thousand: z.int().positive().max(2_000_000),
});
type Line = z.infer<typeof lineSchema>;

function parseLine(text: string): Line | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(text)).data;
  } catch {
    // Torn by a crash: what it was to reserve was not used.
    return undefined;
  }
}

/** Restores of any backup of a folder, in one append-only file beside the backups: what no restored database can know. */
export function createRestorationLog(backupFolder: string) {
  const path = join(backupFolder, NAME);
  return {
    /**
     * When a backup of the folder was last restored, in milliseconds since the epoch; undefined where none ever was.
     * @throws where the file is there and cannot be read
     */
    lastRestoredAtMs: async (): Promise<number | undefined> => {
      const text = await readFile(path, 'utf8').catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
        throw error;
      });
      const times = text.split('\n').flatMap((line) => parseLine(line)?.at ?? []);
      return times.length === 0 ? undefined : Math.max(...times.map((at) => Date.parse(at)));
    },
    /**
     * Reserves a thousand of epochs past `newest` and past every earlier one; it is on the disk when this resolves.
     * @throws where the folder cannot be written
     */
    reserveThousand: async (backupId: string, newest: number): Promise<number> => {
      await mkdir(backupFolder, { recursive: true, mode: 0o700 });
      const file = await open(path, 'a+', 0o600).catch((cause: unknown) => {
        throw new Error(
          `${path} cannot be written: a restore notes there which epochs it goes on at; copy the backups to a folder that can`,
          { cause },
        );
      });
      try {
        const text = await readFile(file, 'utf8');
        const earlier = text.split('\n').flatMap((line) => parseLine(line)?.thousand ?? []);
        const thousand = Math.max(newest, ...earlier) + 1;
        const line: Line = { v: 1, at: new Date().toISOString(), backupId, thousand };
        const isTorn = text !== '' && !text.endsWith('\n');
        await file.appendFile(`${isTorn ? '\n' : ''}${JSON.stringify(line)}\n`);
        await file.sync();
        return thousand;
      } finally {
        await file.close();
      }
    },
  };
}
