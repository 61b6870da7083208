import type { MilvusClient, ResStatus } from '@zilliz/milvus2-sdk-node';
import { PlatformError } from '../../domain/errors.js';

/** Where the server is and how long one call may take. */
export interface MilvusAddress {
  /** `host:port`, or with `https://` for TLS. */
  address: string;
  /** Reads the API key or `user:password`, at every connect; a server without authentication ignores it. */
  token?: (() => Promise<string>) | undefined;
  /** 60 s by default. */
  timeoutMs?: number | undefined;
}

/** Codes of a value or a request that the server will refuse again: illegal argument (old and new), parameter. */
const refusals = new Set([5, 6, 1100, 1101]);
/** No such collection, no such alias. */
const notFound = new Set([100, 1600]);
/** A collection that is not in memory, or not all of it. */
const notLoaded = new Set([101, 106]);

/** What the server said, where it said no. */
class MilvusStatusError extends Error {
  readonly code: number;
  constructor(code: number, reason: string) {
    super(reason);
    this.name = 'MilvusStatusError';
    this.code = code;
  }
}

export const isNotFound = (error: unknown): boolean =>
  error instanceof MilvusStatusError && notFound.has(error.code);

export const isNotLoaded = (error: unknown): boolean =>
  error instanceof MilvusStatusError && notLoaded.has(error.code);

/** Turns a failure of the client or the server into the port's. */
export function unavailable(error: unknown): PlatformError {
  if (error instanceof PlatformError) return error;
  const internal = String(error);
  if (isNotFound(error))
    return new PlatformError('SINK_REFUSED', 'The generation is not in the store.', { internal });
  return error instanceof MilvusStatusError && refusals.has(error.code)
    ? new PlatformError('SINK_REFUSED', 'The vector store refused a value.', { internal })
    : new PlatformError('SINK_UNAVAILABLE', 'The vector store failed.', { internal });
}

const isStatus = (value: unknown): value is ResStatus =>
  typeof value === 'object' && value !== null && 'error_code' in value;

/** The client answers with a status where others throw. */
function accept<T>(answer: T): T {
  const status = isStatus(answer) ? answer : (answer as { status?: unknown }).status;
  if (isStatus(status) && status.error_code !== 'Success' && status.error_code !== 0)
    throw new MilvusStatusError(Number(status.code ?? status.error_code), status.reason);
  return answer;
}

/** A connection that is made at the first call. */
export interface MilvusConnection {
  /** @throws MilvusStatusError where the server refuses, what the client throws otherwise */
  ask: <T>(work: (client: MilvusClient) => Promise<T>) => Promise<T>;
  /** Milvus Lite, whose compaction call does nothing. */
  isLite: () => Promise<boolean>;
  close: () => Promise<void>;
}

export function connectMilvus({ address, token, timeoutMs }: MilvusAddress): MilvusConnection {
  let connected: Promise<MilvusClient> | undefined;
  const timeout = timeoutMs ?? 60_000;
  // The client takes a second to load: only where a Milvus is configured and used.
  const open = async () => {
    const { MilvusClient: Client } = await import('@zilliz/milvus2-sdk-node');
    const client = new Client({
      address,
      ...(token === undefined ? {} : { token: await token() }),
      timeout,
      maxRetries: 0,
      logLevel: 'error',
      telemetry: { enabled: false },
    });
    try {
      await client.connectPromise;
    } catch (error) {
      await client.closeConnection().catch(() => undefined);
      throw error;
    }
    return client;
  };
  const ask: MilvusConnection['ask'] = async (work) => {
    connected ??= open();
    const opening = connected;
    // A server that was down when first asked is asked again.
    opening.catch(() => {
      if (connected === opening) connected = undefined;
    });
    return accept(await work(await opening));
  };
  let lite: boolean | undefined;
  return {
    ask,
    isLite: async () => {
      lite ??= (await ask((client) => client.getVersion())).version.startsWith('milvus_lite');
      return lite;
    },
    close: async () => {
      const client = await connected?.catch(() => undefined);
      connected = undefined;
      await client?.closeConnection();
    },
  };
}
