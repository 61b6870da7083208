import { z } from 'zod';

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

const actorSchema = z.object({
  subject: z.string(),
  kind: z.enum(['person', 'service', 'system']),
  roles: z.array(z.string()),
  via: z.string(),
});

/** One entry as it is listed. */
export const auditItemSchema = z
  .looseObject({
    seq: z.int(),
    at: z.iso.datetime(),
    hash: z.string().meta({ description: 'Hex; the link of the chain.' }),
    action: z.string().optional(),
    actor: actorSchema.optional(),
    resource: z.looseObject({ type: z.string(), id: z.string() }).optional(),
    unreadable: z
      .string()
      .optional()
      .meta({ description: 'The stored text, where it is no entry: the chain was tampered with.' }),
  })
  .meta({ id: 'AuditEntry' });

/** What `audit verify` answers. */
export const auditVerdictSchema = z
  .object({
    tenant: z.string(),
    status: z.enum(['intact', 'broken']),
    size: z.int().meta({ description: 'Entries in the chain, by its head.' }),
    headHash: z.string().optional(),
    verified: z.int().meta({ description: 'Entries proved.' }),
    leaves: z.int().meta({ description: 'Sealed leaves proved.' }),
    checkpoints: z.int().meta({ description: 'Checkpoints that agree with the chain.' }),
    witnessedTo: z.int().meta({ description: 'Largest size that a checkpoint vouches for.' }),
    fault: z
      .object({
        seq: z.int().meta({ description: 'The first bad sequence.' }),
        kind: z.enum(['edit', 'delete', 'reorder', 'truncate', 'fork']),
        detail: z.string(),
      })
      .optional(),
    durationMs: z.int(),
  })
  .meta({ id: 'AuditVerdict' });
export type AuditVerdict = z.infer<typeof auditVerdictSchema>;
