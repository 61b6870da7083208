import { createServer, type RequestListener, type Server } from 'node:http';

/** What a client may take of a server (reliability.md §6). */
export interface EdgeLimits {
  /** Connections at most. */
  connections: number;
  /** Connections of one client address at most. */
  addressConnections: number;
  /** From the first byte of a connection to the end of the request's head (10 s). */
  headersMs?: number;
  /** How long a connection may lie between two requests (60 s). */
  idleMs?: number;
  /** Told of each connection that is closed unread, and of the cap that closed it. */
  onRejected?: ((reason: 'CONNECTIONS' | 'ADDRESS_CONNECTIONS') => void) | undefined;
}

const MAX_HEADER_BYTES = 16_384;
const MAX_REQUESTS_PER_SOCKET = 1_000;

/** The server of an application for clients that are not trusted: slow, many, or never ending. */
export function createEdgeServer(app: RequestListener, limits: EdgeLimits): Server {
  const { headersMs = 10_000, idleMs = 60_000 } = limits;
  // Node looks for late heads at this interval alone; its own is 30 seconds.
  const connectionsCheckingInterval = Math.min(1_000, headersMs / 2);
  const server = createServer(
    { maxHeaderSize: MAX_HEADER_BYTES, connectionsCheckingInterval },
    app,
  );
  // Node's request timer is per server and would cut uploads: routes bound their own bodies.
  server.requestTimeout = 0;
  server.headersTimeout = headersMs;
  server.keepAliveTimeout = idleMs;
  server.maxRequestsPerSocket = MAX_REQUESTS_PER_SOCKET;
  server.maxConnections = limits.connections;
  server.on('drop', () => limits.onRejected?.('CONNECTIONS'));
  limitAddresses(server, limits);
  return server;
}

/**
 * Closes an address's connections beyond its share as they come, before a byte of them is read: a client that opens sockets
 * and lets them lie takes none from the others.
 */
function limitAddresses(
  server: Server,
  { addressConnections, onRejected }: Pick<EdgeLimits, 'addressConnections' | 'onRejected'>,
): void {
  const open = new Map<string, number>();
  server.on('connection', (socket) => {
    const address = socket.remoteAddress ?? '';
    const count = (open.get(address) ?? 0) + 1;
    if (count > addressConnections) {
      onRejected?.('ADDRESS_CONNECTIONS');
      socket.destroy();
      return;
    }
    open.set(address, count);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
  });
}
