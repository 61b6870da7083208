import type { Request } from 'express';
import type { z } from 'zod';
import type { Permission } from '../domain/access/permissions.js';
import type { Principal } from '../domain/access/principal.js';
import type { AdmissionClass } from '../domain/admission/contract.js';
import type { ErrorCode } from '../domain/errors.js';
import type { StartRequest, WakeRequest } from '../domain/events/contract.js';
import type { Caller } from '../domain/events/change.js';

/** What a handler gets: everything parsed, the caller known and allowed. */
export interface RouteRequest<P, Q, B> {
  principal: Principal;
  params: P;
  query: Q;
  body: B;
  /** Identity and idempotency scope of this request, its hash over the parsed body. */
  caller: Caller;
  /** The same with a hash over another value: uploads hash their fields and the file's digest. */
  callerFor(content: unknown): Caller;
  requestId: string;
  /** The epoch of `If-Match: "<n>"`, if the caller sent one. */
  ifMatchEpoch: number | undefined;
  /** Milliseconds of `Prefer: wait=n`; 0 where the caller does not wait. */
  waitMs: number;
  /** Aborts when the caller is gone or the process stops. Made when it is first asked for. */
  signal: () => AbortSignal;
  /** The raw request, for routes that stream their body. */
  raw: Request;
}

/** What a handler answers. `starts` and `wakes` are carried out after commit; the relay repeats what is lost. */
export interface Reply<R> {
  status: number;
  body: R;
  replayed?: boolean;
  starts?: StartRequest[];
  wakes?: WakeRequest[];
  headers?: Record<string, string>;
}

/** A request that proves itself: what the proof may be made of. */
interface SignedRequest {
  params: Readonly<Record<string, unknown>>;
  header: (name: string) => string | undefined;
  /** The body exactly as it was sent. */
  bytes: Uint8Array;
}

/** Who a signed request comes from, and the key under which its answer is kept. */
interface SignedCaller {
  tenant: string;
  subject: string;
  idempotencyKey: string;
}

/** Who may call: whoever holds a permission, or anyone whose request proves itself. */
type RouteAccess =
  | {
      /** `any` needs a valid key and nothing else. */
      permission: Permission | 'any';
      public?: never;
      identify?: never;
    }
  | {
      permission?: never;
      /** Why no API key is asked for. */
      public: string;
      /** Called with the raw body before anything of it is parsed. @throws the refusal */
      identify: (request: SignedRequest) => Promise<SignedCaller>;
    };

/** One endpoint: everything the server, the OpenAPI document and the CLI know of it. */
export type RouteSpec<
  P extends z.ZodType,
  Q extends z.ZodType,
  B extends z.ZodType,
  R extends z.ZodType,
  W extends z.ZodType,
> = RouteAccess & RouteFacts<P, Q, B, R, W>;

/** What an endpoint is, whoever may call it. */
interface RouteFacts<
  P extends z.ZodType,
  Q extends z.ZodType,
  B extends z.ZodType,
  R extends z.ZodType,
  W extends z.ZodType,
> {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** OpenAPI form: `/v1/approvals/{id}:decide`. */
  path: `/v1/${string}`;
  /** `<noun>.<verb>`: the operation id, and the CLI command `anneal <noun> <verb>`. */
  operation: `${string}.${string}`;
  summary: string;
  description?: string;
  params?: P;
  /** Strict, as `params` and `body`: unknown keys are refused with their pointer. None: no query is taken. */
  query?: Q;
  /** JSON body. None: no body but `{}` is taken. */
  body?: B;
  /** A streamed multipart body instead of JSON: its fields as documented, and one file. */
  upload?: { fields: z.ZodType; fileDescription: string; limitBytes: number };
  /** Largest JSON body in bytes; 256 KiB unless named. */
  bodyLimitBytes?: number;
  /** How long a JSON body may take to its last byte; 30 s unless named. */
  bodyDeadlineMs?: number;
  /** What it is worth under load, where method and body do not say it: see `classOfRequest`. */
  class?: AdmissionClass;
  /** Success status and body; what the schema does not declare is left out of the answer. */
  response: {
    status: number;
    schema: R;
    description: string;
    /** Another status with the same body. */
    other?: { status: number; description: string };
  };
  /** Codes this route can answer beyond those that every route can. */
  problems: ErrorCode[];
  /** Shown by `--help` and in the OpenAPI document. */
  example?: {
    params?: Record<string, string | number>;
    query?: Record<string, string | number>;
    body?: unknown;
  };
  handle(request: RouteRequest<z.infer<P>, z.infer<Q>, z.infer<B>>): Promise<Reply<z.infer<R>>>;
  /** How `Prefer: wait=n` is answered. */
  wait?: {
    /** Of the result, which is answered with 200. */
    schema: W;
    /** The result if it is ready in time; undefined leaves the 202 as it is. */
    read(
      request: RouteRequest<z.infer<P>, z.infer<Q>, z.infer<B>>,
      started: z.infer<R>,
    ): Promise<Reply<z.infer<W>> | undefined>;
  };
}

/** A route with its types erased: what the registry holds. */
export interface Route {
  spec: RouteSpec<z.ZodType, z.ZodType, z.ZodType, z.ZodType, z.ZodType>;
}

/** Registers one endpoint. A route with neither a permission nor a reason to be public does not compile. */
export function route<
  P extends z.ZodType,
  Q extends z.ZodType,
  B extends z.ZodType,
  R extends z.ZodType,
  W extends z.ZodType,
>(spec: RouteSpec<P, Q, B, R, W>): Route {
  return { spec: spec };
}

/** True for methods that change something and therefore need an Idempotency-Key. */
export const mutates = (spec: { method: string }): boolean => spec.method !== 'get';
