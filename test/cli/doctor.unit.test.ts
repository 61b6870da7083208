import type { Probe } from '../../src/cli/doctor.js';
import { openCliWorld, type CliWorld } from './cli-world.js';

let world: CliWorld;
beforeEach(async () => {
  world = await openCliWorld();
});
afterEach(() => world.close());

const good: Probe = {
  name: 'Node',
  fix: 'npm ci',
  check: async () => ({ ok: true, detail: '24.1.0' }),
};
const bad: Probe = {
  name: 'Postgres',
  fix: 'npm start',
  check: async () => ({ ok: false, detail: 'not started' }),
};
const own: Probe = {
  name: 'Keys',
  fix: 'npm start',
  check: async () => ({ ok: false, detail: 'too open', fix: 'chmod 600 keys' }),
};
const throws: Probe = {
  name: 'Temporal',
  fix: 'npm start',
  check: async () => {
    throw new Error('nothing answers at 127.0.0.1:7233');
  },
};

describe('anneal doctor', () => {
  it('exits 0 when everything is in order', async () => {
    world.deps = { probes: () => Promise.resolve([good]) };
    expect(await world.anneal('doctor')).toEqual({
      code: 0,
      out: '✓ Node  24.1.0\n1 of 1 in order',
      err: '',
    });
  });

  it('names the command that fixes each failure and exits 1', async () => {
    world.deps = { probes: () => Promise.resolve([good, bad, own, throws]) };
    const { code, out } = await world.anneal('doctor');
    expect(code).toBe(1);
    expect(out.split('\n')).toEqual([
      '✓ Node      24.1.0',
      '✗ Postgres  not started',
      '            fix: npm start',
      '✗ Keys      too open',
      '            fix: chmod 600 keys',
      '✗ Temporal  nothing answers at 127.0.0.1:7233',
      '            fix: npm start',
      '1 of 4 in order',
    ]);
  });

  it('gives a machine one JSON document with the same facts and exit code', async () => {
    world.deps = { probes: () => Promise.resolve([good, bad]) };
    const { code, out } = await world.anneal('doctor', '--output', 'json');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      probes: [
        { name: 'Node', ok: true, detail: '24.1.0' },
        { name: 'Postgres', ok: false, detail: 'not started', fix: 'npm start' },
      ],
    });
    expect(JSON.parse(out)).not.toHaveProperty('probes.0.fix');
  });

  it('does not wait for a probe that hangs, tells it to stop, and goes on', async () => {
    let stopped = false;
    const hangs: Probe = {
      name: 'Clock',
      fix: 'npm start',
      timeoutMs: 20,
      check: (signal) =>
        new Promise(() => signal.addEventListener('abort', () => (stopped = true))),
    };
    world.deps = { probes: () => Promise.resolve([hangs, good]) };
    const { code, out } = await world.anneal('doctor');
    expect(code).toBe(1);
    expect(out).toContain('✗ Clock  no answer within 0.02 s');
    expect(out).toContain('✓ Node');
    expect(stopped).toBe(true);
  });
});
