import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../config.js';

const passwordsSchema = z.looseObject({ anneal_api: z.string() });

/** The API role's database: as configured, else the bundled one; undefined where `npm start` has not made one yet. */
export async function localDatabaseUrl(config: Config): Promise<string | undefined> {
  if (config.postgres.apiUrl !== undefined) return config.postgres.apiUrl;
  const path = join(config.stateDir, 'keys', 'postgres.json');
  const found = await readFile(path, 'utf8').catch(() => undefined);
  if (found === undefined) return undefined;
  const { anneal_api: password } = passwordsSchema.parse(JSON.parse(found));
  const url = new URL(`postgresql://127.0.0.1:${config.postgres.port}/anneal`);
  url.username = 'anneal_api';
  url.password = password;
  return url.toString();
}
