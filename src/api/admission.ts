import type { Request, Response } from 'express';
import { parseApiKey } from '../domain/access/api-key.js';
import type { Principal } from '../domain/access/principal.js';
import { classOfRequest } from '../domain/admission/class-of-request.js';
import type {
  AdmissionClass,
  AdmissionRefusal,
  RefusalReason,
  RequestBody,
} from '../domain/admission/contract.js';
import { retryAfterSeconds } from '../domain/admission/rate-limit.js';
import { PlatformError } from '../domain/errors.js';
import { mutates, type Route } from './route.js';

/** The right to be worked on. */
export interface Permit {
  /** The body is here: takes a place among the requests at work. A refusal where there is none left. */
  begin: () => AdmissionRefusal | undefined;
  /** Gives the place back, once; `measured` where how long it took says something of us. */
  release: (measured: boolean) => void;
}

/** What the edge asks of admission, in this order. A refusal costs no more than its answer. */
export interface EdgeAdmission {
  /** Before anything of the caller is looked at but its address. */
  arrive: (of: { address: string; class: AdmissionClass }) => Promise<AdmissionRefusal | undefined>;
  /** After a proof that failed; a refusal is answered instead of why. */
  failed: (of: {
    address: string;
    class: AdmissionClass;
    keyId?: string | undefined;
  }) => Promise<AdmissionRefusal | undefined>;
  /** Once the caller is known, before its permissions and its body are looked at. */
  enter: (of: {
    class: AdmissionClass;
    body: RequestBody;
    operation: string;
    tenant: string;
    key: string;
  }) => Promise<Permit | AdmissionRefusal>;
}

/** Limits that are ours: the caller did nothing wrong and may go elsewhere. */
const ours: ReadonlySet<RefusalReason> = new Set(['concurrency', 'control', 'streams', 'backlog']);

const details: Record<RefusalReason, string> = {
  address: 'Too many requests came from this address in this minute.',
  key: 'Too many requests came with this key in this minute.',
  tenant: 'Too many requests came from this tenant in this minute.',
  failures: 'Too many requests failed to prove who sent them.',
  concurrency: 'More is asked than can be answered in time.',
  control: 'Too many changes of the control plane are under way.',
  streams: 'Too many request bodies are on their way.',
  backlog: 'So much waits already that this would begin only after its deadline.',
};

/** A refusal of admission: 429 where the limit is the caller's, 503 where it is ours, with the headers of both. */
export class AdmissionRefused extends PlatformError {
  readonly headers: Record<string, string>;
  /** @param random in [0, 1): spreads the callers who come back */
  constructor(refusal: AdmissionRefusal, random: number) {
    const { reason, limit, windowMs, waitMs } = refusal;
    super(ours.has(reason) ? 'OVERLOADED' : 'RATE_LIMITED', details[reason], {
      extensions: { limit: reason },
    });
    const seconds = retryAfterSeconds(waitMs, random);
    // draft-ietf-httpapi-ratelimit-headers-10: a policy has a quota, and a window or another unit than requests.
    const policy =
      windowMs === undefined
        ? `"${reason}";q=${limit};qu="concurrent-requests"`
        : `"${reason}";q=${limit};w=${Math.ceil(windowMs / 1_000)}`;
    this.headers = {
      'Retry-After': String(seconds),
      'RateLimit-Policy': policy,
      RateLimit: `"${reason}";r=0;t=${seconds}`,
    };
  }
}

/** A body that was announced larger than this is not read to its end for a connection's sake. */
const READ_AWAY_BYTES = 65_536;

/** True where the rest of the body would cost more than a new connection. */
const leavesMuchBehind = (request: Request): boolean =>
  request.get('transfer-encoding') !== undefined ||
  Number(request.get('content-length') ?? 0) > READ_AWAY_BYTES;

/** Writes the headers of a refusal that was made before the body was read. */
export function writeRefused(
  request: Request,
  response: Response,
  refused: AdmissionRefused,
): void {
  response.set(refused.headers);
  if (leavesMuchBehind(request) && !request.complete) response.set('Connection', 'close');
}

/** The class of a request. */
const classOf = ({ spec }: Route, request: Request): AdmissionClass =>
  classOfRequest({
    method: spec.method,
    declared: spec.class,
    upload: spec.upload !== undefined,
    waits: /(?:^|[,;\s])wait=0*[1-9]/.test(request.get('prefer') ?? ''),
  });

const orThrow = (refusal: AdmissionRefusal | undefined): void => {
  if (refusal !== undefined) throw new AdmissionRefused(refusal, Math.random());
};

/** Begins the work of a request whose body is here. @throws AdmissionRefused where its class has become full meanwhile */
export const beginWork = (permit: Permit | undefined): void => orThrow(permit?.begin());

/** Small bodies come with their head: by now all of it has been read. */
const bodyOf = ({ spec }: Route, request: Request): RequestBody => {
  if (spec.upload !== undefined) return 'upload';
  return mutates(spec) && !request.complete ? 'coming' : 'here';
};

const addressOf = (request: Request): string => request.socket.remoteAddress ?? '';

/** The id of a key that somebody claims to have. */
const claimedKey = (header: string | undefined): string | undefined =>
  parseApiKey(/^Bearer +(\S{1,512}) *$/i.exec(header ?? '')?.[1] ?? '')?.keyId;

/** The admission of one request. Without one every request is taken. */
export function admissionOf(
  admission: EdgeAdmission | undefined,
  of: { route: Route; request: Request },
) {
  const { route, request } = of;
  if (admission === undefined) return undefined;
  const arrival = { address: addressOf(request), class: classOf(route, request) };
  return {
    /** @throws AdmissionRefused */
    arrive: async (): Promise<void> => orThrow(await admission.arrive(arrival)),
    /** What is answered after a proof that failed. */
    failed: async (refusal: PlatformError): Promise<PlatformError> => {
      const header = request.get('authorization');
      // Who says nothing of himself has guessed nothing.
      if (route.spec.public === undefined && header === undefined) return refusal;
      const refused = await admission.failed({ ...arrival, keyId: claimedKey(header) });
      return refused === undefined ? refusal : new AdmissionRefused(refused, Math.random());
    },
    /** @throws AdmissionRefused */
    enter: async ({ tenant, subject, via }: Principal): Promise<Permit> => {
      const permit = await admission.enter({
        class: arrival.class,
        body: bodyOf(route, request),
        operation: route.spec.operation,
        tenant,
        key: via === 'signature' ? subject : via,
      });
      if ('release' in permit) return permit;
      throw new AdmissionRefused(permit, Math.random());
    },
  };
}
