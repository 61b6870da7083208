import type { Request, RequestHandler, Response } from 'express';
import type { Principal } from '../domain/access/principal.js';
import { retryAfterSeconds } from '../domain/admission/rate-limit.js';
import type { AuditFacts } from '../domain/audit/contract.js';
import { digestOf, sha256 } from '../domain/digest.js';
import { errorTable, PlatformError, type ErrorCode } from '../domain/errors.js';
import type { StartRequest, WakeRequest } from '../domain/events/contract.js';
import type { Caller } from '../domain/events/change.js';
import {
  admissionOf,
  AdmissionRefused,
  beginWork,
  writeRefused,
  type EdgeAdmission,
  type Permit,
} from './admission.js';
import { fitAnswer } from './fit-answer.js';
import { bodyLimitsOf, parseRequest } from './parse-request.js';
import { asPlatformError, problemOf } from './problem.js';
import { readRaw } from './read-json.js';
import { mutates, type Reply, type Route, type RouteRequest } from './route.js';

/** What every route needs from outside: identity, starts, and a place for refusals. */
export interface EdgeDeps {
  /** The principal of an Authorization header; undefined where it proves nobody. */
  authenticate(header: string | undefined): Promise<Principal | undefined>;
  /** Starts a workflow whose intent is committed; the relay repeats what fails here. */
  startWorkflow(tenant: string, start: StartRequest): Promise<void>;
  wakeWorkflow(wake: WakeRequest): Promise<void>;
  /** Commits an audit entry of its own before the refusal leaves. */
  recordRefusal(caller: Caller, facts: AuditFacts): Promise<void>;
  newRequestId(): string;
  log: { warn(facts: object, message: string): void; error(facts: object, message: string): void };
  /** Told of every request that was answered, or whose caller went away. */
  observe(request: FinishedRequest): void;
  /** One request as one span of its caller's trace; absent where none is kept. */
  trace?(
    of: { operation: string; requestId: string; headers: Request['headers'] },
    work: () => Promise<{ status: number }>,
  ): Promise<void>;
  /** Who is let in, and how much of it at once; absent: everybody. */
  admission?: EdgeAdmission;
  /** Aborts when the process stops. */
  stopping: AbortSignal;
  /** Names that a Host header may have, in lower case; undefined: any. */
  hosts?: ReadonlySet<string> | undefined;
}

/** A request at its end. */
interface FinishedRequest {
  operation: string;
  requestId: string;
  /** Absent where the caller was not known. */
  tenant?: string | undefined;
  principalId?: string | undefined;
  /** 499 where the caller went away before the answer. */
  status: number;
  /** Where it was refused. */
  code?: ErrorCode | undefined;
  seconds: number;
}

const CALLER_GONE = 499;

const MAX_WAIT_S = 30;
/** When to come back after a failure of ours that says nothing of its end. */
const RETRY_MS = 2_000;

/** Who sends a request, and what came with the proof of it. */
interface Who {
  principal: Principal;
  requestId: string;
  /** Of a request that proved itself. */
  signed?: { idempotencyKey: string; bytes: Uint8Array } | undefined;
}

/** Who sends a request, as changes and refusals name him. */
const callerOfWho = ({ principal, requestId }: Who): Caller => ({
  tenant: principal.tenant,
  actor: {
    subject: principal.subject,
    kind: principal.kind,
    roles: principal.roles,
    via: principal.via,
  },
  requestId,
});

/** Identity and idempotency scope of a request; the body hash covers `content`. */
function callerOf(request: Request, context: { route: Route; who: Who }, content: unknown): Caller {
  const { route } = context;
  const { signed } = context.who;
  const caller = callerOfWho(context.who);
  if (!mutates(route.spec)) return caller;
  const key = signed?.idempotencyKey ?? request.get('idempotency-key');
  if (key === undefined || key.length === 0 || key.length > 255) {
    throw new PlatformError(
      'IDEMPOTENCY_KEY_REQUIRED',
      'This request needs an Idempotency-Key header of 1 to 255 characters.',
    );
  }
  const body = { path: request.path, query: request.query, content: content ?? null };
  return {
    ...caller,
    idempotency: {
      route: route.spec.operation,
      keyHash: sha256(`${caller.tenant}\0${key}`),
      bodyHash: Buffer.from(digestOf('anneal.request.v1', body).slice(7), 'hex'),
    },
  };
}

function waitMsOf(header: string | undefined): number {
  const seconds = /(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])/.exec(header ?? '')?.[1];
  return seconds === undefined ? 0 : Math.min(Number(seconds), MAX_WAIT_S) * 1000;
}

/** The committed answer does not wait longer than this for Temporal; the relay carries on. */
const CARRY_OUT_MS = 5_000;

const inTime = (work: Promise<void>): Promise<void> =>
  new Promise((resolve, reject) => {
    const late = () => reject(new Error(`no answer within ${CARRY_OUT_MS} ms`));
    const timer = setTimeout(late, CARRY_OUT_MS);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });

/** Starts and wakes what a committed change names. A failure here is left to the relay. */
async function carryOut(deps: EdgeDeps, who: Who, reply: Reply<unknown>): Promise<void> {
  const starts = (reply.starts ?? [])
    .filter((start) => start.startedBy === 'api')
    .map((start) => inTime(deps.startWorkflow(who.principal.tenant, start)));
  const wakes = (reply.wakes ?? []).map((wake) => inTime(deps.wakeWorkflow(wake)));
  for (const result of await Promise.allSettled([...starts, ...wakes])) {
    if (result.status === 'rejected') {
      deps.log.warn(
        { requestId: who.requestId, reason: String(result.reason) },
        'start or wake left to the relay',
      );
    }
  }
}

/** A signal that ends with the caller's connection or the process. Made where it is asked for: most routes never look at it. */
function whileWanted(response: Response, stopping: AbortSignal): () => AbortSignal {
  let made: AbortSignal | undefined;
  return () => {
    if (made !== undefined) return made;
    const gone = new AbortController();
    if (response.closed) gone.abort();
    else response.once('close', () => gone.abort());
    return (made = AbortSignal.any([gone.signal, stopping]));
  };
}

async function answer(
  request: Request,
  response: Response,
  context: { route: Route; deps: EdgeDeps; who: Who; permit: Permit | undefined },
) {
  const { route, deps, who, permit } = context;
  const { spec } = route;
  const parsed = await parseRequest(request, response, {
    spec,
    signedBytes: who.signed?.bytes,
    arrived: () => beginWork(permit),
  });
  const routeRequest: RouteRequest<unknown, unknown, unknown> = {
    principal: who.principal,
    requestId: who.requestId,
    params: parsed.params,
    query: parsed.query,
    body: parsed.body,
    caller: callerOf(request, context, parsed.content),
    callerFor: (content) => callerOf(request, context, content),
    ifMatchEpoch: epochOf(request.get('if-match')),
    waitMs: waitMsOf(request.get('prefer')),
    signal: whileWanted(response, deps.stopping),
    raw: request,
  };
  let reply: Reply<unknown> = await spec.handle(routeRequest);
  const replayed = reply.replayed === true;
  await carryOut(deps, who, reply);
  if (reply.status === 202 && routeRequest.waitMs > 0 && spec.wait !== undefined) {
    // Who waits does no work meanwhile, and takes nobody's place.
    permit?.release(true);
    reply = (await spec.wait.read(routeRequest, reply.body)) ?? reply;
  }
  const body = fitAnswer(spec, reply);
  if (replayed) response.set('Idempotent-Replayed', 'true');
  response
    .set(reply.headers ?? {})
    .status(reply.status)
    .json(body);
}

function epochOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const epoch = /^"?(\d{1,9})"?$/.exec(header.trim())?.[1];
  if (epoch === undefined) {
    throw new PlatformError('INVALID_REQUEST', 'If-Match must be an epoch in quotes.', {
      errors: [{ pointer: '/header/if-match', code: 'invalid_format' }],
    });
  }
  return Number(epoch);
}

/** Answers a refusal; those of a known caller are in the audit before the answer leaves. */
async function refuse(
  response: Response,
  refusal: PlatformError,
  context: { route: Route; deps: EdgeDeps; requestId: string; caller: Caller | undefined },
) {
  const { route, deps, requestId, caller } = context;
  const { status, retryable } = errorTable[refusal.code];
  // Of a flood nothing is kept but a count.
  const isFlood = refusal instanceof AdmissionRefused;
  if (!isFlood && (status >= 500 || refusal.internal !== undefined)) {
    deps.log.error({ requestId, code: refusal.code, internal: refusal.internal }, refusal.message);
  }
  if (!isFlood && caller !== undefined && status < 500 && (mutates(route.spec) || status === 403)) {
    await deps.recordRefusal(caller, {
      action: 'request.refused',
      resource: { type: 'operation', id: route.spec.operation },
      after: { code: refusal.code, status },
    });
  }
  response.set('x-should-retry', String(retryable));
  if (status === 503 && retryable) {
    const { retryAfterMs: asked } = refusal.extensions;
    const waitMs = typeof asked === 'number' && asked > 0 ? asked : RETRY_MS;
    response.set('Retry-After', String(retryAfterSeconds(waitMs, Math.random())));
  }
  if (isFlood) writeRefused(response.req, response, refusal);
  if (status === 401) response.set('WWW-Authenticate', 'Bearer');
  response
    .status(status)
    .type('application/problem+json')
    .send(JSON.stringify(problemOf(refusal, requestId)));
}

/** Who sends a request: the holder of a key or, where the route is public, whoever the raw body proves. */
async function identify(
  request: Request,
  response: Response,
  context: { route: Route; deps: EdgeDeps; requestId: string },
): Promise<Who> {
  const { route, deps, requestId } = context;
  const { spec } = route;
  if (spec.public === undefined) {
    const principal = await deps.authenticate(request.get('authorization'));
    if (principal === undefined)
      throw new PlatformError('UNAUTHENTICATED', 'A valid API key is needed.');
    return { principal, requestId };
  }
  const bytes = await readRaw(request, response, bodyLimitsOf(spec));
  const header = (name: string): string | undefined => request.get(name);
  const proven = await spec.identify({ params: request.params, header, bytes });
  const principal: Principal = {
    tenant: proven.tenant,
    subject: proven.subject,
    name: proven.subject,
    kind: 'service',
    roles: [],
    groups: [],
    permissions: new Set(),
    env: 'prod',
    via: 'signature',
  };
  return { principal, requestId, signed: { idempotencyKey: proven.idempotencyKey, bytes } };
}

function authorise({ permission }: Route['spec'], principal: Principal): void {
  if (permission === undefined || permission === 'any' || principal.permissions.has(permission))
    return;
  throw new PlatformError('FORBIDDEN', `This needs the permission ${permission}.`, {
    extensions: { permission },
  });
}

interface ServeContext {
  route: Route;
  deps: EdgeDeps;
  requestId: string;
  caller: Caller | undefined;
  code: ErrorCode | undefined;
}

/** Serves one request to its end; `caller` is what others may know of who sent it. */
async function serve(request: Request, response: Response, context: ServeContext): Promise<void> {
  const { route, deps } = context;
  const admission = admissionOf(deps.admission, { route, request });
  let permit: Permit | undefined;
  try {
    await admission?.arrive();
    const who = await identify(request, response, context);
    context.caller = callerOfWho(who);
    permit = await admission?.enter(who.principal);
    authorise(route.spec, who.principal);
    await answer(request, response, { route, deps, who, permit });
    permit?.release(true);
  } catch (error) {
    permit?.release(false);
    let refusal = asPlatformError(error);
    if (errorTable[refusal.code].status === 401)
      refusal = (await admission?.failed(refusal)) ?? refusal;
    context.code = refusal.code;
    if (response.headersSent) return;
    try {
      await refuse(response, refusal, context);
    } catch (auditError) {
      // No audit row, no answer that pretends the refusal was recorded.
      refusal = asPlatformError(auditError);
      const code =
        refusal.code === 'INTERNAL'
          ? refusal
          : new PlatformError('STORE_UNAVAILABLE', 'The refusal could not be recorded.');
      context.code = code.code;
      await refuse(response, code, { ...context, caller: undefined });
    }
  }
}

/** The Express handler of one route: identify → authorise → parse → call → carry out → answer. */
export function serveRoute(route: Route, deps: EdgeDeps): RequestHandler {
  const { operation } = route.spec;
  return async (request, response) => {
    const startedAt = performance.now();
    const requestId = deps.newRequestId();
    response.set('x-request-id', requestId);
    const context: ServeContext = { route, deps, requestId, caller: undefined, code: undefined };
    response.once('close', () =>
      deps.observe({
        operation,
        requestId,
        tenant: context.caller?.tenant,
        principalId: context.caller?.actor.subject,
        status: response.writableFinished ? response.statusCode : CALLER_GONE,
        code: context.code,
        seconds: (performance.now() - startedAt) / 1000,
      }),
    );
    const work = async () => {
      await serve(request, response, context);
      return { status: response.statusCode };
    };
    if (deps.trace === undefined) await work();
    else await deps.trace({ operation, requestId, headers: request.headers }, work);
  };
}
