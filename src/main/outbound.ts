import { Readable } from 'node:stream';
import { addressKind } from '../adapters/egress/address-policy.js';
import { createEgress, fetchFollowing, type Egress } from '../adapters/egress/create-egress.js';
import type { ConnectionEntry } from '../adapters/egress/policy.js';
import type { EtlRouteDeps } from '../api/etl/index.js';
import type { Config } from '../config.js';
import { PlatformError } from '../domain/errors.js';
import { MAX_DOCUMENT_BYTES } from '../domain/etl/document-requests.js';

/** The ways out of a process, each with its own addresses. */
export interface Outbound {
  /** To the configured embedding service alone. */
  embedding: Egress;
  /** To what addresses in pushed messages may name; never to the embedding service for being that. */
  documents: Egress;
  close: () => Promise<void>;
}

/** This host itself, by a name or an address that cannot mean another one. */
const isLoopback = (host: string): boolean =>
  host === 'localhost' || addressKind(host) === 'loopback';

/**
 * The operator named this very host, so it may lie inside. On this host itself only where the name says so: any other
 * name that answers with a loopback address was turned around by whoever answers for it.
 */
export const serviceEntry = ({ protocol, hostname, port }: URL): ConnectionEntry => {
  const host = hostname.replace(/^\[|\]$/g, '');
  return {
    scheme: protocol === 'https:' ? 'https' : 'http',
    host,
    port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
    allowPrivateNetwork: true,
    allowLoopback: isLoopback(host),
  };
};

/** The ways out: addresses that the operator allowed, and the configured embedding service. */
export function createOutbound({ etl }: Pick<Config, 'etl'>): Outbound {
  const service = etl.embedding === undefined ? [] : [serviceEntry(new URL(etl.embedding.url))];
  const embedding = createEgress({ connections: service });
  const documents = createEgress({
    connections: etl.egressAllow,
    limits: { maxBytes: MAX_DOCUMENT_BYTES },
  });
  return {
    embedding,
    documents,
    close: async () => void (await Promise.all([embedding.close(), documents.close()])),
  };
}

/**
 * Opens the address of a document.
 * @throws PAYLOAD_TOO_LARGE; EGRESS_FAILED also where the answer is no document but an error; EGRESS_REFUSED
 */
export const createOpenUrl =
  ({ fetch }: Pick<Egress, 'fetch'>): EtlRouteDeps['openUrl'] =>
  async (url, { maxBytes, signal }) => {
    try {
      const answer = await fetchFollowing(fetch, url, { signal, limits: { maxBytes } });
      if (answer.status !== 200)
        throw new PlatformError('EGRESS_FAILED', `the other side answered ${answer.status}`);
      return { body: Readable.from([answer.body]), mediaType: answer.headers['content-type'] };
    } catch (error) {
      const isTooLarge =
        error instanceof PlatformError &&
        error.code === 'EGRESS_FAILED' &&
        error.extensions?.['maxBytes'] !== undefined;
      if (!isTooLarge) throw error;
      throw new PlatformError(
        'PAYLOAD_TOO_LARGE',
        `The document is larger than ${maxBytes} bytes.`,
      );
    }
  };
