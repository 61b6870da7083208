import { type ConfigError, loadConfig } from '../../src/config.js';
import { startApi } from '../../src/main/api.js';

test('an API on every address is refused before it opens anything', async () => {
  const config = loadConfig({
    ANNEAL_HOST: '0.0.0.0',
    ANNEAL_API_HOSTS: '',
    ANNEAL_API_DATABASE_URL: 'postgresql://anneal_api@127.0.0.1:9/none',
  });
  const { reasons } = (await startApi(config).catch((error: unknown) => error)) as ConfigError;
  expect(reasons).toEqual([expect.stringMatching(/^ANNEAL_API_HOSTS: ANNEAL_HOST is "0.0.0.0"/)]);
});
