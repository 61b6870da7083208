import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { addressKind, addressRefusal } from '../../src/adapters/egress/address-policy.js';
import {
  createEgress,
  fetchFollowing,
  type Egress,
} from '../../src/adapters/egress/create-egress.js';
import type { EgressPolicy } from '../../src/adapters/egress/policy.js';

const servers: Server[] = [];
const egresses: Egress[] = [];
afterEach(async () => {
  await Promise.all(egresses.splice(0).map((egress) => egress.close()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function egressTo(port: number, more: Partial<EgressPolicy> & { host?: string } = {}): Egress {
  const egress = createEgress({
    connections: [{ scheme: 'http', host: more.host ?? '127.0.0.1', port, allowLoopback: true }],
    ...more,
  });
  egresses.push(egress);
  return egress;
}

const anyHost = (allowance: object = {}) =>
  createEgress({
    connections: [
      { scheme: 'http', host: '*', port: 0, ...allowance },
      { scheme: 'https', host: '*', port: 0, ...allowance },
    ],
    resolve: async () => ['8.8.8.8'],
  });

const code = (expected: string) => expect.objectContaining({ code: expected }) as Error;

describe('the address policy', () => {
  it.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['::1', 'loopback'],
    ['0:0:0:0:0:0:0:1', 'loopback'],
    ['10.1.2.3', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['100.127.255.255', 'private'],
    ['fd12:3456::1', 'private'],
    ['fc00::1', 'private'],
    ['169.254.169.254', 'link-local'],
    ['100.100.100.200', 'link-local'],
    ['168.63.129.16', 'link-local'],
    ['fe80::1', 'link-local'],
    ['febf::1', 'link-local'],
    ['fd00:ec2::254', 'link-local'],
    ['0.0.0.0', 'reserved'],
    ['224.0.0.1', 'reserved'],
    ['255.255.255.255', 'reserved'],
    ['198.18.0.1', 'reserved'],
    ['::', 'reserved'],
    ['::ffff:8.8.8.8', 'reserved'],
    ['::ffff:127.0.0.1', 'reserved'],
    ['::ffff:7f00:1', 'reserved'],
    ['::7f00:1', 'reserved'],
    ['64:ff9b::7f00:1', 'reserved'],
    ['64:ff9b:1::a00:1', 'reserved'],
    ['2002:7f00:1::', 'reserved'],
    ['2001:0:7f00:1::', 'reserved'],
    ['2001:db8::1', 'reserved'],
    ['ff02::1', 'reserved'],
    ['fec0::1', 'reserved'],
    ['fe80::1%eth0', 'reserved'],
    ['127.1', 'reserved'],
    ['8.8.8.8', 'public'],
    ['172.32.0.1', 'public'],
    ['100.128.0.1', 'public'],
    ['2606:4700::1111', 'public'],
  ])('says of %s that it is %s', (address, kind) => {
    expect(addressKind(address)).toBe(kind);
    expect(addressRefusal(address, {}) === undefined).toBe(kind === 'public');
  });

  it('opens private networks by allowance, and link-local addresses never', () => {
    const all = { allowPrivateNetwork: true, allowLoopback: true };
    for (const open of ['10.0.0.1', '100.64.0.1', 'fd12::1', '127.0.0.1', '::1'])
      expect(addressRefusal(open, all)).toBeUndefined();
    for (const shut of [
      '169.254.169.254',
      'fe80::1',
      'fd00:ec2::254',
      '100.100.100.200',
      '::ffff:10.0.0.1',
    ])
      expect(addressRefusal(shut, all)).toEqual(expect.any(String));
    expect(addressRefusal('127.0.0.1', { allowPrivateNetwork: true })).toEqual(expect.any(String));
  });
});

describe('egress', () => {
  it.each([
    'http://127.0.0.1/',
    'http://[::1]/',
    'http://169.254.169.254/latest/meta-data/',
    'http://10.0.0.1/',
    'http://100.64.0.1/',
    'http://[fd12::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[64:ff9b::127.0.0.1]/',
    'http://0/',
  ])('refuses the forbidden address in %s', async (url) => {
    await expect(anyHost().fetch(url)).rejects.toEqual(code('EGRESS_REFUSED'));
  });

  it.each([
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0x7f.1/',
    'http://0177.0.0.1/',
    'http://127.1/',
    'http://127.0.0.1./',
    'http://①②⑦.0.0.1/',
    'http://127.0.0.%31/',
    'http://0x08080808/',
    'ftp://8.8.8.8/',
    'file:///etc/passwd',
    'http://user:secret@8.8.8.8/',
    'no url',
  ])('refuses %s whatever the allowance', async (url) => {
    const open = anyHost({ allowLoopback: true, allowPrivateNetwork: true });
    await expect(open.fetch(url)).rejects.toEqual(code('EGRESS_REFUSED'));
  });

  it('goes only to the scheme, host and port that a connection names, and keeps the name in Host', async () => {
    const port = await serve((request, response) => response.end(request.headers.host));
    const egress = egressTo(port, { host: 'api.example', resolve: async () => ['127.0.0.1'] });
    const answer = await egress.fetch(`http://api.example:${port}/v1?x=1`);
    expect(Buffer.from(answer.body).toString()).toBe(`api.example:${port}`);
    for (const url of [
      `https://api.example:${port}/`,
      `http://api.example:${port + 1}/`,
      `http://other.example:${port}/`,
      `http://127.0.0.1:${port}/`,
    ])
      await expect(egress.fetch(url)).rejects.toEqual(code('EGRESS_REFUSED'));
  });

  it('refuses a name where any one of its answers is forbidden', async () => {
    const port = await serve((_, response) => response.end('reached'));
    const egress = egressTo(port, {
      host: 'mixed.example',
      resolve: async () => ['127.0.0.1', '169.254.169.254'],
    });
    await expect(egress.fetch(`http://mixed.example:${port}/`)).rejects.toEqual(
      code('EGRESS_REFUSED'),
    );
  });

  it('dials the address it checked, and checks again for a new connection: rebinding reaches nothing', async () => {
    let reached = 0;
    const port = await serve((_, response) => {
      reached++;
      response.setHeader('connection', 'close').end('ok');
    });
    const answers = [['127.0.0.1'], ['10.0.0.1'], ['169.254.169.254']];
    let lookups = 0;
    const egress = egressTo(port, {
      host: 'rebind.example',
      resolve: async () => answers[lookups++] ?? [],
    });
    expect((await egress.fetch(`http://rebind.example:${port}/`)).status).toBe(200);
    expect(lookups).toBe(1);
    for (let call = 0; call < 2; call++)
      await expect(egress.fetch(`http://rebind.example:${port}/`)).rejects.toEqual(
        code('EGRESS_REFUSED'),
      );
    expect({ reached, lookups }).toEqual({ reached: 1, lookups: 3 });
  });

  it('ignores proxy variables', async () => {
    let proxied = 0;
    const proxy = await serve((_, response) => {
      proxied++;
      response.end('proxy');
    });
    const port = await serve((_, response) => response.end('direct'));
    const environment = Reflect.get<NodeJS.Process, 'env'>(process, 'env');
    Object.assign(environment, {
      HTTP_PROXY: `http://127.0.0.1:${proxy}`,
      http_proxy: `http://127.0.0.1:${proxy}`,
      NODE_USE_ENV_PROXY: '1',
    });
    try {
      const answer = await egressTo(port).fetch(`http://127.0.0.1:${port}/`);
      expect(Buffer.from(answer.body).toString()).toBe('direct');
      expect(proxied).toBe(0);
    } finally {
      for (const name of ['HTTP_PROXY', 'http_proxy', 'NODE_USE_ENV_PROXY'])
        delete environment[name];
    }
  });

  it('hands redirects back, follows them on demand, and checks every hop', async () => {
    const seen: (string | undefined)[] = [];
    const port = await serve((request, response) => {
      seen.push(request.headers.authorization);
      const target: Record<string, string> = {
        '/to-metadata': 'http://169.254.169.254/latest',
        '/to-odd': `http://2130706433:${port}/end`,
        '/to-other': `http://127.0.0.1:${port}/`.replace(String(port), String(port + 1)),
        '/to-end': '/end',
        '/loop': '/loop',
      };
      const location = target[request.url ?? ''];
      if (location !== undefined) response.writeHead(302, { location });
      response.end('end');
    });
    const { fetch } = egressTo(port);
    const at = (path: string) => `http://127.0.0.1:${port}${path}`;
    expect((await fetch(at('/to-metadata'))).status).toBe(302);
    for (const path of ['/to-metadata', '/to-odd', '/to-other'])
      await expect(fetchFollowing(fetch, at(path))).rejects.toEqual(code('EGRESS_REFUSED'));
    const end = await fetchFollowing(fetch, at('/to-end'), { headers: { authorization: 'x' } });
    expect([end.status, end.url]).toEqual([200, at('/end')]);
    expect(seen.slice(-2)).toEqual(['x', 'x']);
    const before = seen.length;
    await expect(fetchFollowing(fetch, at('/loop'))).rejects.toEqual(code('EGRESS_FAILED'));
    expect(seen.length - before).toBe(6);
  });

  it('leaves credentials behind when a redirect changes the origin', async () => {
    let seen: string | undefined = 'nothing asked';
    const second = await serve((request, response) => {
      seen = request.headers.authorization;
      response.end();
    });
    const first = await serve((_, response) =>
      response.writeHead(307, { location: `http://127.0.0.1:${second}/` }).end(),
    );
    const egress = createEgress({
      connections: [first, second].map((port) => ({
        scheme: 'http',
        host: '127.0.0.1',
        port,
        allowLoopback: true,
      })),
    });
    egresses.push(egress);
    await fetchFollowing(egress.fetch, `http://127.0.0.1:${first}/`, {
      headers: { Authorization: 'x' },
    });
    expect(seen).toBeUndefined();
  });

  it('unpacks gzip, and stops a bomb by ratio and by size', async () => {
    const bodies = [
      gzipSync('packed'),
      gzipSync(Buffer.alloc(20_000_000)),
      gzipSync(Buffer.alloc(9_000_000, 'abcdefghij')),
    ];
    const port = await serve((request, response) =>
      response.setHeader('content-encoding', 'gzip').end(bodies[Number(request.url?.slice(1))]),
    );
    const { fetch } = egressTo(port);
    const at = (body: number) => `http://127.0.0.1:${port}/${body}`;
    expect(Buffer.from((await fetch(at(0))).body).toString()).toBe('packed');
    await expect(fetch(at(1))).rejects.toEqual(code('EGRESS_FAILED'));
    await expect(fetch(at(2), { limits: { maxBytes: 1_000_000 } })).rejects.toThrow(
      /larger than 1000000|times its size/,
    );
  });

  it('refuses stacked encodings', async () => {
    const port = await serve((_, response) =>
      response.setHeader('content-encoding', 'gzip, gzip').end(gzipSync(gzipSync('x'))),
    );
    await expect(egressTo(port).fetch(`http://127.0.0.1:${port}/`)).rejects.toEqual(
      code('EGRESS_FAILED'),
    );
  });

  it('stops a body that is too large, declared or not, and one that never ends', async () => {
    const port = await serve((request, response) => {
      if (request.url === '/declared') response.setHeader('content-length', 5_000);
      response.write(Buffer.alloc(request.url === '/slow' ? 10 : 5_000));
      if (request.url !== '/slow') response.end();
    });
    const { fetch } = egressTo(port, { limits: { maxBytes: 1_000, timeoutMs: 300 } });
    for (const path of ['/declared', '/chunked'])
      await expect(fetch(`http://127.0.0.1:${port}${path}`)).rejects.toThrow('larger than 1000');
    await expect(fetch(`http://127.0.0.1:${port}/slow`)).rejects.toThrow('in 300 ms');
  });

  it('stops at once when its caller gives up', async () => {
    const port = await serve(() => undefined);
    const controller = new AbortController();
    const call = egressTo(port).fetch(`http://127.0.0.1:${port}/`, { signal: controller.signal });
    controller.abort(new Error('given up'));
    await expect(call).rejects.toThrow('given up');
  });
});
