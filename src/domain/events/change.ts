import type { AuditActor, AuditFacts } from '../audit/contract.js';
import type { DomainEvent, StartRequest, WakeRequest } from './contract.js';

/** Who makes a change, and under which key the answer is kept. */
export interface Caller {
  tenant: string;
  actor: AuditActor;
  requestId?: string | undefined;
  workflowId?: string | undefined;
  runId?: string | undefined;
  /** Present for API mutations: scope, hashed key and body hash (reliability.md §8). */
  idempotency?: { route: string; keyHash: Uint8Array; bodyHash: Uint8Array } | undefined;
}

/** What a change leaves behind besides its own rows: all of it is written in the same transaction. */
export interface Change<B> {
  /** HTTP status of the answer; 200 where nobody answers a caller. */
  status: number;
  body: B;
  /** One entry per change; it is the last statement before commit. */
  audit: AuditFacts | AuditFacts[];
  events?: DomainEvent[];
  starts?: StartRequest[];
  wakes?: WakeRequest[];
}

/** The answer to give, and what to start or wake after commit. A replay starts nothing. */
export interface Outcome<B> {
  status: number;
  body: B;
  replayed: boolean;
  starts: StartRequest[];
  wakes: WakeRequest[];
}

/** What every started thing answers, before the edge adds its links. */
export interface StartedFacts {
  id: string;
  workflowId: string;
  status: string;
}
