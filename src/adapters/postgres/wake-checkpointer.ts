import { openClient } from './open-client.js';

/**
 * Makes a server that has just started keep `archive_timeout`. Its checkpointer went to sleep before recovery was over, when
 * that setting does not count, and would sleep for `checkpoint_timeout`, 5 minutes in which nothing is archived.
 * @param adminUrl URL of a superuser
 */
export async function wakeCheckpointer(adminUrl: string): Promise<void> {
  const client = await openClient({ connectionString: adminUrl, connectionTimeoutMillis: 5_000 });
  try {
    await client.query('checkpoint');
  } finally {
    await client.end();
  }
}
