import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/** A request whose body is not sent. */
export interface Stalled {
  socket: Socket;
  /** What was answered so far. */
  answer: () => string;
}

/** Sends the head of a request with a body of so many bytes, over a socket of its own, and none of these. */
export function stall(url: string, of: { key: string; path: string; bytes: number }): Stalled {
  const head = [
    `POST ${of.path} HTTP/1.1`,
    'Host: 127.0.0.1',
    `Authorization: Bearer ${of.key}`,
    `Idempotency-Key: ${randomUUID()}`,
    'Content-Type: application/json',
    `Content-Length: ${of.bytes}`,
    '',
    '',
  ].join('\r\n');
  const chunks: Buffer[] = [];
  const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(head));
  // Whoever is refused may be cut off as well; what was answered is what counts.
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
  return { socket, answer: () => Buffer.concat(chunks).toString() };
}
