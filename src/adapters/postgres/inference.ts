import { decisionRowHash } from '../../domain/decisions/row-hash.js';
import { equalSecrets } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import type { InferenceState } from '../../domain/inference/contract.js';
import type {
  AdmissionItem,
  AdmissionVerdict,
  InferenceRun,
  Settlement,
  SettlementItem,
  ShadowPairRow,
  ShadowRun,
  StoredAttempt,
  StoredInference,
  VersionFacts,
} from '../../domain/inference/run.js';
import type { Database, SqlRow } from './database.js';
import { createBatcher } from './inference-batcher.js';
import { newId } from './new-id.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const bytesOf = (value: unknown): Uint8Array => value as Uint8Array;
const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const numberOrNull = (value: unknown): number | null => (value === null ? null : Number(value));

/** Members as columns: `inputsDigest` → `inputs_digest`. */
const columns = (row: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]: [string, unknown]) => [
      name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  );

const admissionJson = (item: AdmissionItem): object => ({
  ...item,
  keyHash: hex(item.keyHash),
  bodyHash: hex(item.bodyHash),
  inputs: base64(item.inputs),
});

function settlementJson(item: SettlementItem): object {
  const { outputs, decision, shadows, ...rest } = item;
  const rowHash = decisionRowHash(decision).slice('sha256:'.length);
  return {
    ...rest,
    rowHash,
    eventId: newId('event'),
    outputs: outputs === null ? null : base64(outputs),
    decision: { ...columns(decision), row_hash: `\\x${rowHash}` },
    shadows: shadows.map(({ start, inputDigest }) => ({ ...start, inputDigest })),
  };
}

function verdictOf(row: SqlRow): AdmissionVerdict {
  const { verdict } = row;
  if (verdict === 'replay') {
    return { verdict, response: row.response as AdmissionItem['response'] };
  }
  return { verdict: verdict as 'admitted' | 'mismatch' | 'stale' };
}

/** Rows by the `ord` that the function answers with, 1-based, into the order of the items. */
const inOrder = <T>(rows: SqlRow[], map: (row: SqlRow) => T): T[] => {
  const found: T[] = [];
  for (const row of rows) found[Number(row.ord) - 1] = map(row);
  return found;
};

const runOf = (tenant: string, inferenceId: string, row: SqlRow): InferenceRun => ({
  tenant,
  inferenceId,
  principalId: String(row.principal_id),
  env: row.env as InferenceRun['env'],
  model: String(row.model),
  version: Number(row.version),
  arm: String(row.arm),
  routingEpoch: Number(row.routing_epoch),
  state: row.state as InferenceState,
  code: textOrNull(row.code),
  settled: row.settled === true,
  purpose: String(row.purpose),
  subjectToken: textOrNull(row.subject_token),
  plan: row.plan as InferenceRun['plan'],
  warnings: row.warnings as unknown[],
  inputsDigest: String(row.inputs_digest),
  inputs: bytesOf(row.inputs),
  requestId: String(row.request_id),
  workflowId: String(row.workflow_id),
  createdMs: Number(row.created_ms),
  deadlineMs: Number(row.deadline_ms),
  loadedMs: Number(row.now_ms),
  attempts: row.attempts as StoredAttempt[],
  kills: row.kills as InferenceRun['kills'],
  shadow: row.shadow as InferenceRun['shadow'],
  active: numberOrNull(row.active),
});

const versionOf = (model: string, version: number, row: SqlRow): VersionFacts => ({
  model,
  version,
  assurance: String(row.assurance),
  artifactRef: String(row.artifact_ref),
  artifactDigest: row.artifact_digest as VersionFacts['artifactDigest'],
  contract: row.contract as VersionFacts['contract'],
  contractDigest: String(row.contract_digest),
  golden: (
    row.golden as { inputs: VersionFacts['golden'][number]['inputs']; output: SqlRow }[]
  ).map(({ inputs, output }) => ({ inputs, probability: Number(output.probability) })),
  snapshotId: ((row.lineage as SqlRow).snapshotId as string | undefined) ?? null,
  purpose: String(row.purpose),
});

const storedOf = (row: SqlRow): StoredInference => ({
  inferenceId: String(row.inference_id),
  principalId: String(row.principal_id),
  env: row.env as StoredInference['env'],
  workflowId: String(row.workflow_id),
  state: row.state as InferenceState,
  code: textOrNull(row.code),
  model: String(row.model),
  version: Number(row.version),
  answeredBy: numberOrNull(row.answered_by),
  digest: textOrNull(row.digest),
  arm: String(row.arm),
  outputs: row.outputs === null ? null : bytesOf(row.outputs),
  warnings: row.warnings as StoredInference['warnings'],
  createdMs: Number(row.created_ms),
  settledMs: numberOrNull(row.settled_ms),
  contractVersion: textOrNull(row.contract_version),
  confidence: numberOrNull(row.confidence),
  attempts: (row.attempts ?? []) as StoredInference['attempts'],
  fallback: row.fallback as StoredInference['fallback'],
  latencyMs: numberOrNull(row.latency_ms),
});

const isOutage = (error: unknown): boolean =>
  error instanceof PlatformError && error.code === 'STORE_UNAVAILABLE';

const batching = { maxItems: 64, windowMs: 2, isOutage };

function createAdmission(db: Database) {
  const admit = createBatcher<AdmissionItem, AdmissionVerdict>({
    ...batching,
    call: async (tenant, items) => {
      const json = JSON.stringify(items.map(admissionJson));
      const rows = await db.call('select * from inference_admit($1, $2)', [tenant, json]);
      return inOrder(rows, verdictOf);
    },
  });
  return {
    admit,
    findStored: async (
      tenant: string,
      key: Pick<AdmissionItem, 'principalId' | 'route' | 'keyHash' | 'bodyHash'>,
    ): Promise<AdmissionVerdict | undefined> => {
      const values = [tenant, key.principalId, key.route, Buffer.from(key.keyHash)];
      const [row] = await db.call('select * from inference_stored($1, $2, $3, $4)', values);
      if (row === undefined) return undefined;
      if (!equalSecrets(bytesOf(row.body_hash), key.bodyHash)) return { verdict: 'mismatch' };
      return { verdict: 'replay', response: row.response as AdmissionItem['response'] };
    },
  };
}

/** Reads that every process may do. */
export const createInferenceReads = (db: Database) => ({
  findVersion: async (
    tenant: string,
    model: string,
    version: number,
  ): Promise<VersionFacts | undefined> => {
    const values = [tenant, model, version];
    const [row] = await db.call('select * from inference_version($1, $2, $3)', values);
    return row === undefined ? undefined : versionOf(model, version, row);
  },

  read: async (tenant: string, ids: string[]): Promise<StoredInference[]> =>
    (await db.call('select * from inference_read($1, $2)', [tenant, ids])).map(storedOf),
});

/**
 * The hot path of inference: SQL functions that set the tenant themselves, one round trip each. Admissions and
 * settlements of one tenant share round trips and commits. Function by function for the roles of the API and the
 * worker; what a role may not do, the database refuses.
 */
export function createInferenceStore(db: Database) {
  const settle = createBatcher<SettlementItem, Settlement>({
    ...batching,
    call: async (tenant, items) => {
      const json = JSON.stringify(items.map(settlementJson));
      const rows = await db.call('select * from inference_settle($1, $2)', [tenant, json]);
      return inOrder(rows, (row) => ({
        settled: row.settled === true,
        state: row.state as InferenceState,
        code: textOrNull(row.code),
      }));
    },
  });
  return {
    ...createAdmission(db),
    ...createInferenceReads(db),
    settle,

    load: async (tenant: string, inferenceId: string): Promise<InferenceRun | undefined> => {
      const values = [tenant, inferenceId];
      const [row] = await db.call('select * from inference_load($1, $2)', values);
      return row === undefined ? undefined : runOf(tenant, inferenceId, row);
    },

    park: async (tenant: string, inferenceId: string, attempts: StoredAttempt[]): Promise<void> => {
      const values = [tenant, inferenceId, JSON.stringify(attempts)];
      await db.call('select inference_park($1, $2, $3)', values);
    },

    loadShadow: async (
      tenant: string,
      workflowId: string,
      decisionId: string,
    ): Promise<ShadowRun | undefined> => {
      const values = [tenant, workflowId, decisionId];
      const [row] = await db.call('select * from inference_shadow_load($1, $2, $3)', values);
      if (row === undefined) return undefined;
      return {
        inputDigest: String(row.input_digest),
        model: String(row.model),
        champion: Number(row.version),
        inputs: bytesOf(row.inputs),
        outputs: row.outputs === null ? null : bytesOf(row.outputs),
        championMs: Number(row.champion_ms ?? 0),
        collecting: row.collecting === true,
        paired: row.paired === true,
      };
    },

    recordPair: async (
      tenant: string,
      workflowId: string,
      pair: ShadowPairRow,
    ): Promise<boolean> => {
      const values = [tenant, workflowId, JSON.stringify(pair)];
      const [row] = await db.call('select inference_shadow_record($1, $2, $3) as written', values);
      return row?.written === true;
    },
  };
}
