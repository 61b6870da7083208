import { PlatformError } from '../domain/errors.js';

/** What was found. @throws NOT_FOUND where nothing was */
export async function findOrRefuse<T>(found: Promise<T | undefined>, what: string): Promise<T> {
  const value = await found;
  if (value === undefined) throw new PlatformError('NOT_FOUND', `There is no such ${what}.`);
  return value;
}
