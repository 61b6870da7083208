import { spawnSync } from 'node:child_process';
import { parse } from 'yaml';
import { loadConfig, requireHosts } from '../../src/config.js';
import { devServerDynamicConfig } from '../../src/adapters/temporal/dev-server-arguments.js';
import { environmentSchema } from '../../src/environment.js';
import { searchAttributes } from '../../src/domain/search-attributes.js';
import { workerRoles } from '../../src/domain/task-queues.js';
import { testEnvironment } from '../support/model-runtime.js';
import { projectRoot, readText } from '../support/source-tree.js';

// No Docker engine is needed: the file is parsed, by us and by docker-compose where it is installed. What is not shown
// here is that the images start.

interface Service {
  image: string;
  command?: string[];
  environment?: Record<string, string | number>;
  ports?: string[];
  volumes?: string[];
  healthcheck?: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
}

const text = readText('docker-compose.yml');
const compose = parse(text, { merge: true }) as { services: Record<string, Service> };
const services = Object.entries(compose.services);
const required = [
  ...new Set([...text.matchAll(/\$\{([A-Z_]+):\?/g)].map(([, name]) => name ?? '')),
];
const given = Object.fromEntries(required.map((name) => [name, `given-${name.toLowerCase()}`]));

it('no port is open beyond this host', () => {
  const ports = services.flatMap(([, service]) => service.ports ?? []);
  expect(ports.length).toBeGreaterThan(0);
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
});

it('every password is asked for and none has a default', () => {
  for (const [, service] of services) {
    for (const [name, value] of Object.entries(service.environment ?? {})) {
      if (!/PASSWORD|PWD|DATABASE_URL/.test(name)) continue;
      expect(`${name} ${value}`).toMatch(/\$\{[A-Z_]+_?PASSWORD:\?[^}]+\}/);
    }
  }
  expect(text).not.toMatch(/PASSWORD:-/);
});

it('images are of one exact release, of the current kind, and never auto-setup', () => {
  const images = services.map(([, service]) => service.image);
  for (const image of images) expect(image).toMatch(/:(\d+\.\d+|\$\{ANNEAL_VERSION:\?)/);
  const names = [...new Set(images.map((image) => image.split(':')[0]))].sort();
  const temporal = ['temporalio/admin-tools', 'temporalio/server', 'temporalio/ui'];
  expect(names).toEqual(['anneal', 'postgres', ...temporal]);
});

it('one worker runs per role, each of a named version, and a step makes that version current', () => {
  const workers = services.filter(([name]) => name.startsWith('worker-'));
  const roles = workers.map(([, { environment }]) => environment?.['ANNEAL_WORKER_ROLES']);
  expect(roles.sort()).toEqual([...workerRoles].sort());
  const deploy = compose.services['deploy'];
  expect(Object.keys(deploy?.depends_on ?? {}).sort()).toEqual(
    workers.map(([name]) => name).sort(),
  );
  for (const service of [...workers.map(([, worker]) => worker), deploy]) {
    const environment = service?.environment ?? {};
    expect(environment['TEMPORAL_DEPLOYMENT_NAME']).toBe('anneal');
    expect(environment['TEMPORAL_WORKER_BUILD_ID']).toContain('${ANNEAL_VERSION:?');
  }
});

it('whoever is waited for exists, and can be seen to be ready', () => {
  for (const [, service] of services) {
    for (const [name, { condition }] of Object.entries(service.depends_on ?? {})) {
      const awaited = compose.services[name];
      expect(awaited).toBeDefined();
      if (condition === 'service_healthy') expect(awaited?.healthcheck?.test[0]).toBe('CMD');
    }
  }
  expect(compose.services['api']?.healthcheck?.test.at(-1)).toContain(':7081/readyz');
});

it('nothing that serves knows the password of the owner', () => {
  const knowing = services.filter(([, { environment }]) =>
    JSON.stringify(environment ?? {}).includes('ANNEAL_OWNER_PASSWORD'),
  );
  expect(knowing.map(([name]) => name).sort()).toEqual(['migrate', 'postgres']);
});

it('the API is told its names, because its image listens on every address', () => {
  const host = /ANNEAL_HOST=(\S+)/.exec(readText('Dockerfile'))?.[1] ?? '';
  const said = String(compose.services['api']?.environment?.['ANNEAL_API_HOSTS'] ?? '');
  const names = said.replace(/^\$\{ANNEAL_API_HOSTS:-(.*)\}$/, '$1');
  const config = (given: string) => loadConfig({ ANNEAL_HOST: host, ANNEAL_API_HOSTS: given });
  expect([...requireHosts(config(names))]).toEqual(['localhost', '127.0.0.1', 'api']);
  expect(() => requireHosts(config(''))).toThrow(/ANNEAL_API_HOSTS/);
});

it('our processes get only variables that the configuration knows', () => {
  const ours = services.filter(([, { image }]) => image.startsWith('anneal:'));
  const names = ours.flatMap(([, { environment }]) => Object.keys(environment ?? {}));
  const known = Object.keys(environmentSchema.shape);
  expect([...new Set(names)].filter((name) => !known.includes(name))).toEqual([]);
});

it('every file that is mounted or run is there', () => {
  const mounted = services
    .flatMap(([, { volumes }]) => volumes ?? [])
    .filter((volume) => volume.startsWith('./'))
    .map((volume) => volume.slice(2).split(':')[0] ?? '');
  const entries = services
    .filter(([, { image }]) => image.startsWith('anneal:'))
    .map(([, { command }]) => (command?.[0] ?? '').replace(/^dist\/(.*)\.js$/, 'src/$1.ts'));
  expect([...mounted, ...entries].filter((path) => readText(path) === '')).toEqual([]);
  expect(entries).toContain('src/main/migrate.ts');
});

it('Temporal gets the search attributes and the tuning that the platform expects', () => {
  const script = readText('deploy/compose/temporal-namespace.sh');
  const names = /for name in ([\w ]+); do/.exec(script)?.[1]?.split(' ');
  expect(names).toEqual(Object.keys(searchAttributes));
  expect([...new Set(Object.values(searchAttributes).map(({ type }) => type))]).toEqual([
    'KEYWORD',
  ]);
  const tuning = parse(readText('deploy/compose/temporal-dynamic-config.yaml')) as Record<
    string,
    { value: unknown }[]
  >;
  const values = Object.entries(tuning).map(([name, [first]]) => [name, first?.value]);
  expect(Object.fromEntries(values)).toEqual(devServerDynamicConfig);
});

it('the scripts are sound shell', () => {
  for (const name of ['init-postgres', 'temporal-schema', 'temporal-namespace']) {
    const { status, stderr } = spawnSync('sh', ['-n', `deploy/compose/${name}.sh`], {
      cwd: projectRoot,
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  }
});

describe('docker-compose itself', () => {
  const config = (env: Record<string, string>) =>
    spawnSync('docker-compose', ['--file', 'docker-compose.yml', 'config'], {
      cwd: projectRoot,
      encoding: 'utf8',
      env: { PATH: testEnvironment['PATH'] ?? '', ...env },
    });
  const { error } = spawnSync('docker-compose', ['version']);
  if (error !== undefined) process.stdout.write('NOT RUN: docker-compose is not installed\n');
  const withCompose = error === undefined ? it : it.skip;

  withCompose('accepts the file and resolves every variable', () => {
    const { status, stdout, stderr } = config(given);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const resolved = parse(stdout) as { services: Record<string, Service> };
    expect(Object.keys(resolved.services).sort()).toEqual(services.map(([name]) => name).sort());
    expect(stdout).not.toContain('${');
  });

  withCompose.each(required)('refuses to go on without %s', (name) => {
    const others = Object.fromEntries(Object.entries(given).filter(([key]) => key !== name));
    const { status, stderr } = config(others);
    expect(status).not.toBe(0);
    expect(stderr).toContain(name);
  });
});
