import type { Server } from 'node:http';

/** How many connections a server keeps at most. */
export interface ConnectionLimits {
  total: number;
  /** Of one client address. */
  perAddress: number;
}

/**
 * Closes connections beyond the limits as they come, before a byte of them is read (reliability.md §6): a client that opens
 * sockets and lets them lie takes none from the others.
 */
export function limitConnections(server: Server, { total, perAddress }: ConnectionLimits): void {
  server.maxConnections = total;
  const open = new Map<string, number>();
  server.on('connection', (socket) => {
    const address = socket.remoteAddress ?? '';
    const count = (open.get(address) ?? 0) + 1;
    if (count > perAddress) {
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
