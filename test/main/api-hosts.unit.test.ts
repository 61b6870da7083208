import { ConfigError, loadConfig, requireHosts } from '../../src/config.js';

const hostsOf = (env: Record<string, string>) =>
  [...requireHosts(loadConfig({ ANNEAL_API_HOSTS: '', ...env }))].sort();

test.each([
  [{}, ['127.0.0.1', '[::1]', 'localhost']],
  [{ ANNEAL_HOST: '10.0.0.5' }, ['10.0.0.5', '127.0.0.1', '[::1]', 'localhost']],
  [{ ANNEAL_HOST: 'API.local' }, ['127.0.0.1', '[::1]', 'api.local', 'localhost']],
  [{ ANNEAL_API_HOSTS: 'API.example.com, localhost' }, ['api.example.com', 'localhost']],
  [{ ANNEAL_HOST: '0.0.0.0', ANNEAL_API_HOSTS: 'api.example.com' }, ['api.example.com']],
])('with %j the API answers to %j', (env, names) => {
  expect(hostsOf(env)).toEqual(names);
});

test.each(['0.0.0.0', '::', '[::]', '0', '0x0', '0.0', '::0', '0:0:0:0:0:0:0:0', '::ffff:0.0.0.0'])(
  'an API on every address, written %j, does not start without its names, and says what to set',
  (host) => {
    expect(() => hostsOf({ ANNEAL_HOST: host })).toThrow(ConfigError);
    expect(() => hostsOf({ ANNEAL_HOST: host })).toThrow(/ANNEAL_API_HOSTS: .*set the names/);
    expect(() => hostsOf({ ANNEAL_HOST: host, ANNEAL_API_HOSTS: ' , ' })).toThrow(ConfigError);
  },
);

test('a worker of the same image starts: the address is not its own', () => {
  expect(loadConfig({ ANNEAL_HOST: '0.0.0.0', ANNEAL_API_HOSTS: '' }).worker.roles).not.toEqual([]);
});
