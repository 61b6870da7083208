import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { PRIVATE_HEADERS } from '../api/app.js';
import { problemOf } from '../api/problem.js';
import { errorTable, PlatformError, type ErrorCode } from '../domain/errors.js';

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
  /** How long the rest of a body is read and thrown away once its request is answered (10 s). */
  lingerMs?: number;
  newRequestId: () => string;
  /** Told of each request that never became one: a head that is too long, too late or no HTTP. */
  onUnreadable?: ((refused: Unreadable) => void) | undefined;
  /** Told of each connection that is closed unread, and of the cap that closed it. */
  onRejected?: ((reason: 'CONNECTIONS' | 'ADDRESS_CONNECTIONS') => void) | undefined;
}

/** A request that no route got to see. */
interface Unreadable {
  requestId: string;
  status: number;
  code: ErrorCode;
}

const MAX_HEADER_BYTES = 16_384;
const MAX_REQUESTS_PER_SOCKET = 1_000;

/** The server of an application for clients that are not trusted: slow, many, or never ending. */
export function createEdgeServer(app: RequestListener, limits: EdgeLimits): Server {
  const { headersMs = 10_000, idleMs = 60_000, lingerMs = 10_000 } = limits;
  // Node looks for late heads at this interval alone; its own is 30 seconds.
  const connectionsCheckingInterval = Math.min(1_000, headersMs / 2);
  const server = createServer(
    // The application refuses a missing Host itself: Node's own answer has no body and no headers.
    { maxHeaderSize: MAX_HEADER_BYTES, connectionsCheckingInterval, requireHostHeader: false },
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
  limitLeftovers(server, lingerMs);
  answerUnreadable(server, limits);
  return server;
}

/**
 * A route bounds the body that it reads. What was answered without reading it (401, 404, 415) leaves the body to Node, which
 * throws it away for as long as it comes: here that ends. Until then the caller can read the answer, which a reset would take.
 */
function limitLeftovers(server: Server, lingerMs: number): void {
  server.on('request', (request, response) => {
    response.once('finish', () => {
      if (request.complete) return;
      const timer = setTimeout(() => {
        if (!request.complete) request.socket.destroy();
      }, lingerMs).unref();
      // Of most the rest is there at once: a flood of refusals would stay in memory for as long as this waits.
      request.once('close', () => clearTimeout(timer));
    });
  });
}

/** What Node's own errors are to the caller; every other one is no HTTP. */
const unreadable = new Map<string | undefined, readonly [ErrorCode, string]>([
  ['ERR_HTTP_REQUEST_TIMEOUT', ['REQUEST_TIMEOUT', 'The head of the request came too late.']],
  ['HPE_HEADER_OVERFLOW', ['HEADERS_TOO_LARGE', 'The head of the request is too large.']],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', ['PAYLOAD_TOO_LARGE', 'The chunk extensions are too large.']],
]);

/** Calls back when a request has been read, or thrown away, to its end and its answer has gone. */
function onceOver(request: IncomingMessage, response: ServerResponse, over: () => void): void {
  let open = 2;
  const close = () => {
    open -= 1;
    if (open === 0) over();
  };
  request.once('close', close);
  response.once('close', close);
}

/** True where the next bytes on a connection are the answer to what could not be read, and to nothing else. */
const isFree = (latest: ServerResponse | undefined): boolean =>
  latest === undefined || (latest.req.complete ? latest.writableFinished : !latest.headersSent);

/** What Node answers by itself is a bare status line; this is the problem document that every other refusal is. */
function answerUnreadable(
  server: Server,
  { newRequestId, onUnreadable }: Pick<EdgeLimits, 'newRequestId' | 'onUnreadable'>,
): void {
  const latest = new WeakMap<Socket, ServerResponse>();
  server.on('request', (request, response) => {
    const { socket } = request;
    latest.set(socket, response);
    // What its open connection held until the next request would die old, and that costs full collections.
    onceOver(request, response, () => {
      if (latest.get(socket) === response) latest.delete(socket);
    });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, stream) => {
    const socket = stream as Socket;
    if (error.code === 'ECONNRESET' || !socket.writable || !isFree(latest.get(socket))) {
      socket.destroy();
      return;
    }
    const [code, message] = unreadable.get(error.code) ?? [
      'INVALID_REQUEST',
      'The request is not HTTP as it should be.',
    ];
    const requestId = newRequestId();
    const { status, retryable } = errorTable[code];
    onUnreadable?.({ requestId, status, code });
    const body = JSON.stringify(problemOf(new PlatformError(code, message), requestId));
    const headers = {
      ...PRIVATE_HEADERS,
      'X-Content-Type-Options': 'nosniff',
      'Content-Type': 'application/problem+json; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'x-request-id': requestId,
      'x-should-retry': retryable,
      Connection: 'close',
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines].join('\r\n');
    socket.write(`${head}\r\n\r\n${body}`);
    socket.destroySoon();
  });
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
