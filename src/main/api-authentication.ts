import { createAccessStore } from '../adapters/postgres/access.js';
import { createFileSecrets } from '../adapters/secrets/file-provider.js';
import { createAuthenticator } from '../api/access/index.js';
import type { Principal } from '../domain/access/principal.js';
import type { Parts } from './dependencies.js';

/** The authenticator of this process: keys from Postgres, forgotten by NOTIFY `access`. */
export function createAuthentication(parts: Parts, stopping: AbortSignal) {
  const secrets = createFileSecrets(parts.keyFolder);
  const authenticate = createAuthenticator({
    findKey: createAccessStore(parts.db).findKey,
    pepper: (version) => secrets.pepper(version),
    subscribe: (forget) => {
      // After a gap in the notices anything may have changed.
      const onReconnect = () => forget('');
      void parts.db.listen('access', { onNotice: forget, onReconnect }, stopping);
    },
    nowMs: () => Date.now(),
  });
  return async (header: string | undefined): Promise<Principal | undefined> => {
    const result = await authenticate(header);
    if (typeof result !== 'string') return result;
    parts.metrics.edge.countAuthnFailure(result);
    return undefined;
  };
}
