import {
  Client,
  Connection,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
  type ConnectionOptions,
} from '@temporalio/client';
import type { ClientPlugin } from '@temporalio/client';
import { requestIdInterceptor } from './request-id-interceptor.js';

/** A client of one namespace and its connection. */
export interface TemporalClient {
  client: Client;
  connection: Connection;
  close: () => Promise<void>;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Connects, retrying for `patienceMs`: at boot a connect fails at once while the server is still starting.
 * @param options.connection as `loadClientConnectConfig()` gives it
 * @param options.attempts of one call while the server is away; the SDK's ten take twenty seconds
 */
export async function connectTemporal(options: {
  connection: ConnectionOptions;
  namespace: string;
  patienceMs: number;
  attempts?: number;
  plugins?: ClientPlugin[];
}): Promise<TemporalClient> {
  const deadline = performance.now() + options.patienceMs;
  const { attempts: maxAttempts, connection: given } = options;
  const retry = makeGrpcRetryInterceptor(
    defaultGrpcRetryOptions(maxAttempts === undefined ? {} : { maxAttempts }),
  );
  for (;;) {
    try {
      const connection = await Connection.connect({ interceptors: [retry], ...given });
      const client = new Client({
        connection,
        namespace: options.namespace,
        interceptors: { workflow: [requestIdInterceptor] },
        ...(options.plugins === undefined ? {} : { plugins: options.plugins }),
      });
      return { client, connection, close: () => connection.close() };
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await pause(250);
    }
  }
}
