import type { Scalar } from '../../domain/datasets/field.js';
import type { FieldValue } from '../../domain/datasets/field-check.js';
import type { ModelContract } from '../../domain/datasets/model-contract.js';
import type { InferenceRun, PlannedCandidate } from '../../domain/inference/run.js';
import {
  ProviderFailure,
  type FailureClass,
  type PredictResult,
} from '../../domain/inference/runtime.js';
import type { RawRow, RawValue } from '../../domain/training/training-table.js';
import type { InferencePipelineDeps } from './inference-pipeline-deps.js';
import type { LoadedVersion } from './version-cache.js';

/** What a model answered, in the terms of its output contract. */
export type ModelOutput = {
  label: Scalar;
  /** Of the positive class, 0 … 1. */
  probability: number;
};

/** One call to one candidate. */
export interface AttemptRequest {
  model: string;
  tenant: string;
  version: number;
  values: Record<string, FieldValue>;
  timeoutMs: number;
}

/** How a call ended. `ms` is its whole duration. */
export type AttemptResult =
  | { class: 'ok'; output: ModelOutput; ms: number }
  | { class: FailureClass; retryAfterMs?: number | undefined; detail: string; ms: number };

const isScalar = (value: FieldValue): value is RawValue => !Array.isArray(value);

const rowOf = (values: Record<string, FieldValue>): RawRow =>
  Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, RawValue] => isScalar(entry[1])),
  );

/** The label as the output contract types it; a runtime names classes by text. */
function labelOf(contract: ModelContract, text: string): Scalar {
  const type = contract.output.fields.find(({ name }) => name === 'label')?.type;
  if (type === 'boolean') return text === 'true';
  return type === 'integer' || type === 'number' ? Number(text) : text;
}

function outputOf(loaded: LoadedVersion, result: PredictResult): ModelOutput | undefined {
  const [probability] = result.probabilities;
  const [label] = result.labels;
  if (probability === undefined || label === undefined) return undefined;
  const output = { label: labelOf(loaded.facts.contract, label), probability };
  return loaded.outputFits(output) ? output : undefined;
}

/** The inputs that this version's contract takes, or undefined where it would refuse them. */
function fitting(
  loaded: LoadedVersion,
  values: Record<string, FieldValue>,
): Record<string, FieldValue> | undefined {
  const own = loaded.facts.contract.input.fields.map(({ name }) => name);
  const known = Object.fromEntries(
    own.filter((name) => Object.hasOwn(values, name)).map((name) => [name, values[name]]),
  );
  const checked = loaded.checkInputs(known);
  return checked.ok ? checked.values : undefined;
}

/**
 * Calls one version once and checks its answer against its output contract. Never throws for a failed call; an abort of
 * the caller's own signal rejects with its reason.
 */
export async function callVersion(
  deps: Pick<InferencePipelineDeps, 'runtime' | 'version'>,
  request: AttemptRequest,
  signal: AbortSignal,
): Promise<AttemptResult> {
  const startedAt = performance.now();
  const ms = (): number => performance.now() - startedAt;
  const failed = (failure: FailureClass, detail: string): AttemptResult => ({
    class: failure,
    detail,
    ms: ms(),
  });
  const { runtime } = deps;
  if (runtime === undefined) return failed('binding', 'RUNTIME_UNAVAILABLE');
  const loaded = await deps.version(request.tenant, request.model, request.version);
  if (loaded === undefined) return failed('binding', 'MODEL_NOT_FOUND');
  const values = fitting(loaded, request.values);
  if (values === undefined) return failed('caller', 'CONTRACT_VIOLATION');
  const { timeoutMs } = request;
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const call = { version: loaded.runtimeVersion, rows: [rowOf(values)], timeoutMs };
    const result = await runtime.predict(call, AbortSignal.any([signal, limit]));
    const output = outputOf(loaded, result);
    if (output === undefined) return failed('invalid_output', 'OUTPUT_CONTRACT_VIOLATION');
    return { class: 'ok', output, ms: ms() };
  } catch (error) {
    if (signal.aborted) throw error;
    if (error instanceof ProviderFailure) {
      const { retryAfterMs, code } = error;
      return { class: error.class, retryAfterMs, detail: code ?? error.message, ms: ms() };
    }
    return limit.aborted ? failed('timeout', 'timeout') : failed('server', String(error));
  }
}

/** One attempt of a run at one of its candidates; the inputs come from the admitted row. */
export const createAttempt =
  (deps: InferencePipelineDeps) =>
  async (
    run: InferenceRun & { values: Record<string, FieldValue> },
    candidate: PlannedCandidate,
    limits: { timeoutMs: number; signal: AbortSignal },
  ): Promise<AttemptResult> => {
    const { tenant, model, values } = run;
    const { timeoutMs, signal } = limits;
    const request = { tenant, model, version: candidate.version, values, timeoutMs };
    const result = await callVersion(deps, request, signal);
    deps.observe.countAttempt(result.class);
    return result;
  };

/** The inputs of an admitted row, opened. */
export async function openInputs(
  deps: Pick<InferencePipelineDeps, 'decrypt'>,
  of: { tenant: string; inferenceId: string; inputs: Uint8Array },
): Promise<Record<string, FieldValue>> {
  const owner = {
    tenant: of.tenant,
    table: 'inference',
    column: 'inputs',
    rowId: of.inferenceId,
  };
  const plain = await deps.decrypt(owner, of.inputs);
  return JSON.parse(Buffer.from(plain).toString('utf8')) as Record<string, FieldValue>;
}
