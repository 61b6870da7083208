/** Who did something, as the audit chain keeps it. */
export interface AuditActor {
  /** Principal id, or `workflow:<id>` for a run, or `system`. Never a name or an address. */
  subject: string;
  kind: 'person' | 'service' | 'system';
  roles: string[];
  /** How the actor was identified: `api-key:<key id>`, `workflow`, `bootstrap`. */
  via: string;
}

/** What one audit entry says about a change; actor, request and run are added by whoever writes it. */
export interface AuditFacts {
  /** `<capability>.<past tense>`, such as `approval.decided`. */
  action: string;
  resource: { type: string; id: string; digest?: string | undefined };
  before?: unknown;
  after?: unknown;
  reason?: string | undefined;
  policyVersion?: string | undefined;
}

/** A whole entry: what is canonicalised, hashed and chained. */
export interface AuditEntry extends AuditFacts {
  actor: AuditActor;
  requestId?: string | undefined;
  workflowId?: string | undefined;
  runId?: string | undefined;
}
