import pg from 'pg';

/**
 * A connection of its own. Lost between two statements it fails the next one; without a listener it would end the process,
 * as it would where Postgres is stopped beside a start that failed.
 */
export async function openClient(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config);
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
