import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { addressRefusal } from './address-policy.js';
import { refused, type ConnectionEntry, type EgressLimits, type Resolve } from './policy.js';

/** Every address of a name by the system's resolver; a hosts file counts. */
export const systemResolve: Resolve = async (host) =>
  (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address);

/** The addresses of a host, each one allowed. One forbidden answer refuses the host: it is not ours to pick. */
async function allowedAddresses(
  host: string,
  entry: ConnectionEntry,
  resolve: Resolve,
): Promise<string[]> {
  const addresses = isIP(host) === 0 ? await resolve(host) : [host];
  if (addresses.length === 0) throw new Error(`${host} has no address`);
  for (const address of addresses) {
    const reason = addressRefusal(address, entry);
    if (reason !== undefined) throw refused(`${host} is refused: ${reason}`);
  }
  return [...addresses];
}

/**
 * A dispatcher whose connections go to a checked address and nowhere else: the name is resolved once a connection, the
 * address that was checked is the address that is dialled (a second answer of the name server has no say), and the
 * name stays in `Host` and in TLS. Knows no proxy variable.
 */
export function pinnedAgent(of: {
  entry: ConnectionEntry;
  limits: EgressLimits;
  resolve: Resolve;
}): Agent {
  const { entry, limits, resolve } = of;
  const dial = buildConnector({ timeout: limits.connectTimeoutMs, allowH2: false });
  return new Agent({
    // A connection kept for later would outlive the check of its address by too long.
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 30_000,
    connect: (options, callback) => {
      const host = options.hostname.replace(/^\[|\]$/g, '');
      allowedAddresses(host, entry, resolve).then(
        ([address = '']) =>
          dial(
            {
              ...options,
              hostname: address,
              host: address,
              ...(isIP(host) === 0 ? { servername: host } : {}),
            },
            (...result) => {
              const socket = result[1];
              // What is dialled is what is connected, or the bytes stay here.
              const reason =
                socket?.remoteAddress === undefined
                  ? undefined
                  : addressRefusal(socket.remoteAddress, entry);
              if (socket === null || reason === undefined) callback(...result);
              else {
                socket.destroy();
                callback(refused(`${host} is refused: ${reason}`), null);
              }
            },
          ),
        (error: unknown) =>
          callback(error instanceof Error ? error : new Error(String(error)), null),
      );
    },
  });
}
