import { z } from 'zod';
import type { ArtifactRef } from '../artifacts.js';
import type { Digest } from '../ids.js';
import type { DatasetContract } from './dataset-contract.js';
import type { FieldValue, RuleId } from './field-check.js';
import { fieldNameSchema } from './field.js';
import type { TableFormat } from './table-format.js';

/**
 * What happens to personal fields before rows are stored. Identifiers and the subject key are tokenised unless they
 * are named here; the subject key is never kept, whatever the action says.
 */
export const piiPolicySchema = z.strictObject({
  fields: z.array(fieldNameSchema).max(2000),
  action: z.enum(['tokenize', 'drop', 'keep']),
});
export type PiiPolicy = z.infer<typeof piiPolicySchema>;

/** A row as a snapshot keeps it. `values` are in contract field order, `subjectToken` is null without a subject. */
export interface StoredRow {
  rowDigest: Digest;
  subjectToken: string | null;
  values: FieldValue[];
}

/** One stored part of a snapshot or of a quarantine. */
export interface StoredPart {
  ref: ArtifactRef;
  sha256: Digest;
  rows: number;
}

/** A rejected row. Cells are kept by field name, without identifiers, where the row had the right shape. */
export interface RejectedRow {
  row: number;
  violations: { field: string; rule: RuleId; detail?: string | undefined }[];
  cells?: Record<string, unknown> | undefined;
}

/** How often a rule was broken, by field (empty for the row as a whole). */
export interface RuleCount {
  field: string;
  rule: RuleId;
  severity: 'reject' | 'warn';
  count: number;
}

/** Input of the first stage. Equal inputs give equal results, whoever runs them and however often. */
export interface StageInput {
  tenantId: string;
  /** Staging area: the publication id. */
  scope: string;
  source: { ref: ArtifactRef; digest?: Digest | undefined };
  format: TableFormat;
  contract: DatasetContract;
  pii?: PiiPolicy | undefined;
  /** True: a row stays only if `deps.consented` names its subject. */
  requireConsent?: boolean | undefined;
}

/** Result of the first stage: valid rows as sorted runs in the staging area, rejected ones as quarantine parts. */
export interface StageResult {
  sourceDigest: Digest;
  total: number;
  valid: number;
  /** Rows that broke a rule of the contract or could not be read. */
  rejected: number;
  /** Rows left out because their subject has not granted every purpose; not part of `rejected`. */
  withoutConsent: number;
  imputedValues: number;
  rules: RuleCount[];
  runs: { ref: ArtifactRef; rows: number }[];
  quarantine: StoredPart[];
  /** Columns of the source that the contract does not name; they are not read. */
  ignoredColumns: string[];
}

/** Input of the second stage. */
export interface MergeInput {
  tenantId: string;
  scope: string;
  contract: DatasetContract;
  purposes: readonly string[];
  legalBasis: string;
  pii?: PiiPolicy | undefined;
  runs: StageResult['runs'];
  /** Rows per part (50,000); changes the parts, never the snapshot id. */
  partRows?: number | undefined;
}

/** Result of the second stage: everything of the manifest that follows from the rows. */
export interface MergeResult {
  snapshotId: Digest;
  rows: number;
  parts: StoredPart[];
  profileRef: ArtifactRef;
  profileSha256: Digest;
  binsRef: ArtifactRef;
  binsSha256: Digest;
}

/** Where a stage stands; safe to put into a heartbeat. */
export interface StageProgress {
  stage: 'validating' | 'merging';
  rows: number;
  parts: number;
}

/** What both stages need from outside. */
export interface StageDeps {
  /** Pseudonym of an identifier; equal values give equal tokens. */
  tokenise(value: string): string;
  /** The tokens among these whose subjects have granted every purpose of the publication. */
  consented?(tokens: readonly string[]): Promise<ReadonlySet<string>>;
  /** Called after every batch of about 1,000 rows. */
  heartbeat?(progress: StageProgress): void;
  signal?: AbortSignal | undefined;
}
