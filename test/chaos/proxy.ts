import { serveCalls } from './serve-calls.js';
import { startTcpProxy, type LinkFault, type TcpProxy } from './tcp-proxy.js';

// The proxies of a run in a process of their own: what the supervisor does meanwhile adds no latency to a link.

const proxies = new Map<string, TcpProxy>();

const proxyOf = (name: string): TcpProxy => {
  const proxy = proxies.get(name);
  if (proxy === undefined) throw new Error(`no link ${name}`);
  return proxy;
};

const cuts = new Map<string, { done: boolean }>();

serveCalls({
  open: async ({ name, host, port }: { name: string; host: string; port: number }) => {
    const proxy = await startTcpProxy({ host, port });
    proxies.set(name, proxy);
    return proxy.port;
  },
  set: async ({ name, fault }: { name: string; fault: LinkFault }) => proxyOf(name).set(fault),
  reset: async ({ name }: { name: string }) => proxyOf(name).reset(),
  /** Arms the cut; `wasCut` says whether it has happened. */
  cutAfterRequest: async ({ name, text }: { name: string; text?: string }) => {
    const cut = { done: false };
    cuts.set(name, cut);
    void proxyOf(name)
      .cutAfterRequest(text)
      .then(() => {
        cut.done = true;
      });
  },
  wasCut: async ({ name }: { name: string }) => cuts.get(name)?.done ?? false,
});
