import { randomBytes } from 'node:crypto';
import { createInferenceReads, createInferenceStore } from '../adapters/postgres/inference.js';
import { createRoutingStore } from '../adapters/postgres/release-routing.js';
import { createServingStore } from '../adapters/postgres/release-facts.js';
import { createFieldCipher } from '../adapters/secrets/field-cipher.js';
import { createFileSecrets } from '../adapters/secrets/file-provider.js';
import { newId } from '../adapters/postgres/new-id.js';
import {
  createInferencePipeline,
  createPrepareVersion,
  createVersionCache,
  defaultInferenceLimits,
} from '../activities/inference/index.js';
import { createRoutingFollowerLoop } from '../activities/release/routing-follower-loop.js';
import { envSchema, formatId } from '../domain/ids.js';
import type { ModelRuntime } from '../domain/inference/runtime.js';
import type { Target } from '../domain/release/contract.js';
import { subjectToken } from '../domain/subject-token.js';
import type { Parts } from './dependencies.js';
import type { NamedLoop } from './run-loops.js';
import { activeTraceId } from './telemetry.js';

/** A model's target; the environment is the one of an authenticated key. */
const targetOf = ({ env, name }: { env: string; name: string }): Target => ({
  env: envSchema.parse(env),
  kind: 'model',
  name,
});

const VERSION_FRESH_MS = 1_000;
const MAX_VERSIONS = 1_000;

/**
 * The serving side of a process: its copy of the routing, its versions, and the one inference pipeline. The API
 * resolves and admits; a worker with the runtime also loads, answers and settles.
 */
export function createServing(parts: Parts, role: 'api' | 'inference', runtime?: ModelRuntime) {
  const { db, metrics, log } = parts;
  const secrets = createFileSecrets(parts.keyFolder);
  const cipher = createFieldCipher(secrets);
  const versions = createVersionCache({
    findVersion: createInferenceReads(db).findVersion,
    freshMs: VERSION_FRESH_MS,
    maxVersions: MAX_VERSIONS,
  });
  const serving = createServingStore(db);
  const follower = createRoutingFollowerLoop({
    processId: formatId('process', Date.now(), randomBytes(10)),
    role,
    tenants: db.tenants,
    follow: serving.follow,
    leave: serving.leave,
    listen: (handlers, signal) => db.listen('routing', handlers, signal),
    prepareVersion:
      role === 'api'
        ? async () => undefined
        : createPrepareVersion({ version: versions.find, runtime }),
    log,
  });
  const routing = createRoutingStore(db);
  const store = createInferenceStore(db);
  const tokenOf = async (tenant: string, key: string): Promise<string> =>
    subjectToken(await secrets.pseudonymKey(tenant), key);
  const pipeline = createInferencePipeline({
    store,
    routing: {
      // A target that the copy does not know yet may have been made a moment ago.
      resolve: async (of) =>
        follower.resolve(of.tenant, targetOf(of)) ?? routing.findRouting(of.tenant, targetOf(of)),
      refresh: (of) => routing.findRouting(of.tenant, targetOf(of)),
    },
    version: versions.find,
    subjectToken: tokenOf,
    encrypt: cipher.encrypt,
    decrypt: cipher.decrypt,
    runtime,
    newId,
    limits: defaultInferenceLimits,
    traceId: activeTraceId,
    observe: metrics,
  });
  const loops: NamedLoop[] = [{ name: 'routing-follower', loop: follower }];
  return { pipeline, store, versions, routing, follower, secrets, cipher, tokenOf, loops };
}
export type Serving = ReturnType<typeof createServing>;
