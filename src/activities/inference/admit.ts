import { canonicalJson, digestOf, sha256Hex } from '../../domain/digest.js';
import { errorTable, PlatformError } from '../../domain/errors.js';
import type { PriorityKey, StartRequest } from '../../domain/events/contract.js';
import type { Caller, StartedFacts } from '../../domain/events/change.js';
import type { Env } from '../../domain/ids.js';
import {
  inferWorkflowId,
  type InferenceRequest,
  type InferInput,
} from '../../domain/inference/contract.js';
import type { AdmissionItem, AdmissionVerdict, InferencePlan } from '../../domain/inference/run.js';
import type { InferencePipelineDeps } from './inference-pipeline-deps.js';
import { resolve, type Resolution } from './resolve.js';

/** Who asks, and how. */
export interface AdmitContext {
  caller: Caller;
  env: Env;
  /** True where the caller waits for the answer. */
  waiting: boolean;
}

/** An inference that is on its way, or was already. */
export interface Admission {
  started: StartedFacts;
  replayed: boolean;
  /** What to start after the commit; none for a replay. */
  starts: StartRequest[];
}

/** How often a request is resolved again before its process gives up on a target that keeps moving. */
const RESOLUTIONS = 3;
const STEP_ALLOWANCE_MS = 10_000;

const classes: Record<'interactive' | 'durable' | 'batch', PriorityKey> = {
  interactive: 1,
  durable: 3,
  batch: 4,
};

/** A request may ask for less than its class, never for more. */
export function priorityOf(request: InferenceRequest, waiting: boolean): PriorityKey {
  const own = waiting ? 'interactive' : 'durable';
  const asked = request.priority ?? own;
  return classes[asked] > classes[own] ? classes[asked] : classes[own];
}

/** Steps 6 and 7: the input contract and the purpose. @throws CONTRACT_VIOLATION, PURPOSE_REQUIRED, PURPOSE_DENIED */
function checkRequest(request: InferenceRequest, { candidates }: Resolution) {
  const [first] = candidates;
  if (first === undefined) throw new PlatformError('KILLED', 'No version may answer.');
  const checked = first.loaded.checkInputs(request.inputs);
  if (!checked.ok) {
    const { errors, truncated } = checked;
    throw new PlatformError('CONTRACT_VIOLATION', `${errors.length} input(s) break the contract.`, {
      errors,
      extensions: { contractVersion: first.loaded.facts.contractDigest, truncated },
    });
  }
  const { purpose } = first.loaded.facts;
  if (request.purpose === undefined) {
    throw new PlatformError('PURPOSE_REQUIRED', 'This request names no purpose.', {
      errors: [{ pointer: '/purpose', code: 'missing' }],
      extensions: { purposes: [purpose] },
    });
  }
  if (request.purpose !== purpose) {
    throw new PlatformError('PURPOSE_DENIED', `This model is registered for ${purpose} only.`, {
      errors: [{ pointer: '/purpose', code: 'denied' }],
      extensions: { purposes: [purpose] },
    });
  }
  return { values: checked.values, warnings: checked.warnings, purpose };
}

function planOf(deps: InferencePipelineDeps, resolution: Resolution): InferencePlan {
  const { limits } = deps;
  return {
    candidates: resolution.candidates.map(({ loaded: { facts }, kind }) => ({
      version: facts.version,
      digest: facts.artifactDigest,
      contractDigest: facts.contractDigest,
      accepts: kind === 'previous' ? ['error'] : [],
      kind,
    })),
    maxAttempts: limits.maxAttempts,
    triesPerCandidate: limits.triesPerCandidate,
    backoff: limits.backoff,
    retryAfterCapMs: limits.retryAfterCapMs,
    attemptTimeoutMs: limits.attemptTimeoutMs,
    stepBudgetMs: limits.workflowTaskTimeoutMs / 2,
    assignment: resolution.assignment,
    ...(resolution.diverted ? { diverted: 'killed' as const } : {}),
  };
}

function startOf(
  deps: InferencePipelineDeps,
  request: InferenceRequest,
  of: { resolution: Resolution; inferenceId: string; workflowId: string; context: AdmitContext },
): StartRequest {
  const { limits } = deps;
  const { resolution, context } = of;
  const input: InferInput = {
    tenant: context.caller.tenant,
    inferenceId: of.inferenceId,
    // A longer call would hold the workflow task past its timeout.
    local: limits.attemptTimeoutMs <= limits.workflowTaskTimeoutMs / 2,
    stepTimeoutMs: limits.attemptTimeoutMs + STEP_ALLOWANCE_MS,
  };
  const version = `v${resolution.assigned}`;
  return {
    workflowId: of.workflowId,
    workflowType: 'infer',
    taskQueue: 'inference',
    input: { ...input },
    options: {
      summary: `${resolution.model} ${version} · inference in ${context.env}`,
      searchAttributes: { Target: resolution.model, Version: version },
      priorityKey: priorityOf(request, context.waiting),
      workflowTaskTimeoutMs: limits.workflowTaskTimeoutMs,
      requestId: context.caller.requestId,
    },
    startedBy: 'api',
  };
}

async function itemOf(
  deps: InferencePipelineDeps,
  request: InferenceRequest,
  of: { resolution: Resolution; context: AdmitContext; key: RequestKey },
): Promise<AdmissionItem> {
  const { resolution, context, key } = of;
  const { caller } = context;
  const { values, warnings, purpose } = checkRequest(request, resolution);
  const plain = canonicalJson(values);
  const { inferenceId, workflowId } = key;
  const start = startOf(deps, request, { resolution, context, inferenceId, workflowId });
  const owner = { tenant: caller.tenant, table: 'inference', column: 'inputs', rowId: inferenceId };
  return {
    ...key,
    env: context.env,
    model: resolution.model,
    version: resolution.assigned,
    arm: resolution.arm,
    routingEpoch: resolution.routing.epoch,
    kills: resolution.routing.kills,
    purpose,
    plan: planOf(deps, resolution),
    warnings,
    inputsDigest: digestOf('anneal.inputs.v1', Buffer.from(plain)),
    inputs: await deps.encrypt(owner, plain),
    requestId: caller.requestId ?? '',
    deadlineMs: request.deadlineMs ?? deps.limits.deadlineMs,
    start,
    startDigest: digestOf('anneal.intent.v1', start.input),
    response: { id: inferenceId, workflowId, status: 'ACCEPTED' },
  };
}

/** Under what the answer of a request is stored. */
type StoredUnder = Pick<AdmissionItem, 'principalId' | 'route' | 'keyHash' | 'bodyHash'>;

function storedUnder({ idempotency, actor }: Caller): StoredUnder {
  if (idempotency === undefined) {
    throw new PlatformError('IDEMPOTENCY_KEY_REQUIRED', 'An inference needs an Idempotency-Key.');
  }
  return { principalId: actor.subject, ...idempotency };
}

type RequestKey = StoredUnder &
  Pick<AdmissionItem, 'inferenceId' | 'subjectToken'> & { workflowId: string };

async function keyOf(
  deps: InferencePipelineDeps,
  request: InferenceRequest,
  caller: Caller,
): Promise<RequestKey> {
  const { tenant } = caller;
  const under = storedUnder(caller);
  const keyHash = Buffer.from(under.keyHash).toString('hex');
  const scope = `${under.principalId}\0${under.route}\0${keyHash}`;
  return {
    ...under,
    inferenceId: deps.newId('inference'),
    workflowId: inferWorkflowId(tenant, sha256Hex(scope).slice(0, 40)),
    subjectToken:
      request.subject === undefined ? null : await deps.subjectToken(tenant, request.subject.key),
  };
}

/** What a verdict means to the caller; undefined where the request has to be resolved again. */
function admissionOf(verdict: AdmissionVerdict, item?: AdmissionItem): Admission | undefined {
  switch (verdict.verdict) {
    case 'admitted':
      if (item === undefined) return undefined;
      return { started: item.response, replayed: false, starts: [item.start] };
    case 'replay':
      return { started: verdict.response, replayed: true, starts: [] };
    case 'mismatch':
      throw new PlatformError(
        'IDEMPOTENCY_MISMATCH',
        'This Idempotency-Key was used for a request with another body.',
      );
    case 'stale':
      return undefined;
  }
}

/** What was admitted before under the key of this request; undefined where nothing was. @throws IDEMPOTENCY_MISMATCH */
async function admittedBefore(
  deps: InferencePipelineDeps,
  tenant: string,
  key: StoredUnder,
): Promise<Admission | undefined> {
  const stored = await deps.store.findStored(tenant, key);
  return stored === undefined ? undefined : admissionOf(stored);
}

/** True for refusals of this very request, which a stored answer outranks; false where nothing could be decided. */
const isRefusal = (error: unknown): error is PlatformError =>
  error instanceof PlatformError &&
  error.code !== 'IDEMPOTENCY_MISMATCH' &&
  (errorTable[error.code].status < 500 || error.code === 'KILLED');

/**
 * Steps 3 to 7 and the admission commit. A repeat of an admitted request answers what was stored, even where the
 * routing, the contract or a kill would refuse it today; that look-up costs a round trip only where it matters.
 * Idempotent by the caller's key.
 * @throws MODEL_NOT_FOUND, NO_ACTIVE_VERSION, VERSION_RETIRED, KILLED, CONTRACT_VIOLATION, PURPOSE_REQUIRED,
 * PURPOSE_DENIED, IDEMPOTENCY_MISMATCH, EPOCH_REFUSED, STORE_UNAVAILABLE
 */
export const createAdmit =
  (deps: InferencePipelineDeps) =>
  async (request: InferenceRequest, context: AdmitContext): Promise<Admission> => {
    const { caller, env } = context;
    const { tenant } = caller;
    const key = await keyOf(deps, request, caller);
    const who = {
      tenant,
      env,
      stickyKey: key.subjectToken ?? key.inferenceId,
      nonSticky: key.subjectToken === null,
    };
    try {
      for (let round = 0; round < RESOLUTIONS; round++) {
        const resolution = await resolve(deps, request, { ...who, fresh: round > 0 });
        const item = await itemOf(deps, request, { resolution, context, key });
        const admission = admissionOf(await deps.store.admit(tenant, item), item);
        if (admission !== undefined) return admission;
      }
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const admission = await admittedBefore(deps, tenant, key);
      if (admission === undefined) throw error;
      return admission;
    }
    throw new PlatformError('EPOCH_REFUSED', 'The routing of this model is moving; try again.');
  };

/**
 * What a request was admitted as before, without admitting it: for whoever refuses starts and owes a repeat its answer. One
 * round trip.
 * @throws IDEMPOTENCY_KEY_REQUIRED, IDEMPOTENCY_MISMATCH, STORE_UNAVAILABLE
 */
export const createFindAdmitted =
  (deps: InferencePipelineDeps) =>
  async (caller: Caller): Promise<Admission | undefined> =>
    admittedBefore(deps, caller.tenant, storedUnder(caller));
