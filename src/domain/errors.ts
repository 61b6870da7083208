import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';

/** What one error code means at the edge: HTTP status, whether the same call may succeed later, and what to do next. */
export interface ErrorFacts {
  /** HTTP status of the problem document. */
  status: number;
  /** True where repeating the same call later can succeed without a change by the caller. */
  retryable: boolean;
  /** One sentence for the caller: what to do next. */
  next: string;
}

const facts = (status: number, retryable: boolean, next: string): ErrorFacts => ({
  status,
  retryable,
  next,
});
const final = (status: number, next: string): ErrorFacts => facts(status, false, next);
const again = (status: number, next: string): ErrorFacts => facts(status, true, next);

/** Every error code of the platform. The key equals `code` in problem+json and `ApplicationFailure.type`. */
export const errorTable = {
  INVALID_REQUEST: final(400, 'Correct the fields that `errors` names and send the request again.'),
  CURSOR_INVALID: final(400, 'Start the list again without a cursor, with the same filter.'),
  IDEMPOTENCY_KEY_REQUIRED: final(400, 'Send an Idempotency-Key header of 1 to 255 characters.'),
  UNAUTHENTICATED: final(401, 'Send a valid API key as `Authorization: Bearer <key>`.'),
  FORBIDDEN: final(403, 'Ask a tenant admin for a role that holds the named permission.'),
  PURPOSE_DENIED: final(403, 'Use a purpose that the data set and the model allow.'),
  SELF_APPROVAL: final(403, 'Ask another person who holds approval:decide.'),
  SEPARATION_OF_DUTIES: final(403, 'Ask another person to take this step.'),
  NOT_FOUND: final(404, 'Check the id or name, and the tenant and environments of your key.'),
  METHOD_NOT_ALLOWED: final(405, 'Use a method that the `Allow` header names.'),
  REQUEST_TIMEOUT: again(
    408,
    'Send the whole request in time: 30 seconds, for an upload 15 minutes.',
  ),
  MODEL_NOT_FOUND: final(404, 'Check the model name, or register the model first.'),
  NO_ACTIVE_VERSION: final(404, 'Release an approved version to this environment first.'),
  ILLEGAL_TRANSITION: final(409, 'Read the current state; `allowed` lists what it permits.'),
  ALREADY_EXISTS: final(409, 'Read the existing one, or choose another name.'),
  VERSION_IMMUTABLE: final(409, 'Register a new version; only annotations may change.'),
  NOT_APPROVABLE: final(409, 'Resolve the criteria named, then evaluate again.'),
  STALE_SUBJECT: final(409, 'Read the approval again and decide on its current digest.'),
  ALREADY_DECIDED: final(409, 'Read the approval; it is closed or you have decided already.'),
  PLAN_CHANGED: final(409, 'Send the plan that was approved, or request a new approval.'),
  RELEASE_IN_PROGRESS: final(409, 'Wait for, abort or supersede the release that `running` names.'),
  ROLLBACK_TARGET_INVALID: final(
    409,
    'Choose a version that was ACTIVE here and is not withdrawn.',
  ),
  VERSION_BARRED: final(409, 'The version was rolled back; request a new approval first.'),
  APPROVAL_INVALID: final(
    409,
    'Have it decided where it is PENDING; else request a new approval for the current facts.',
  ),
  CONTRACT_INCOMPATIBLE: final(409, 'Request an approval that names the contract break.'),
  VERSION_NOT_RELEASABLE: final(409, 'Choose a version that is neither quarantined nor retired.'),
  RUN_IN_PROGRESS: final(409, 'Wait for the run that `running` names.'),
  EPOCH_REFUSED: again(409, 'Resolve the routing again.'),
  APPROVAL_EXPIRED: final(410, 'Request a new approval.'),
  VERSION_RETIRED: final(410, 'Call the active version.'),
  STALE_EPOCH: final(412, 'Read the routing and send its epoch as If-Match.'),
  PAYLOAD_TOO_LARGE: final(413, 'Send less, or upload the content and refer to it.'),
  UNSUPPORTED_MEDIA_TYPE: final(415, 'Send the content type that the operation documents.'),
  HEADERS_TOO_LARGE: final(431, 'Send fewer or shorter headers; 16 KB is the most.'),
  CONTRACT_VIOLATION: final(422, 'Correct the inputs that `errors` names.'),
  CONTRACT_REQUIRED: final(422, 'Give the data set a contract first.'),
  CONTRACT_INVALID: final(422, 'Correct the contract fields that `errors` names.'),
  PURPOSE_REQUIRED: final(422, 'Name the purpose of this call.'),
  IDEMPOTENCY_MISMATCH: final(422, 'Use a new Idempotency-Key for a different request.'),
  SNAPSHOT_NOT_LIVE: final(422, 'Choose a LIVE snapshot.'),
  FEATURE_UNKNOWN: final(422, 'Choose features from the contract of the snapshot.'),
  SPLIT_INVALID: final(422, 'Correct the split: fractions sum to 10000 and fit the strategy.'),
  TRAINER_UNAVAILABLE: final(422, 'Use one of the trainers that this installation offers.'),
  PARAMETER_INVALID: final(422, 'Correct the trainer parameters that `errors` names.'),
  PLAN_UNSUPPORTED: final(422, 'Remove the plan fields that `errors` names.'),
  ACKNOWLEDGEMENT_MISSING: final(422, 'Name every one of `criteria` in `acknowledged`.'),
  WAIVER_NOT_ALLOWED: final(422, 'Waive only criteria that the policy calls waivable.'),
  FEEDBACK_TYPE_INVALID: final(422, 'Send a value of the type that the model predicts.'),
  POLICY_UNKNOWN: final(422, 'Choose an existing policy revision.'),
  BUDGET_EXCEEDED: final(402, 'Raise the budget or ask for less.'),
  RATE_LIMITED: again(429, 'Send fewer requests; try again after the time in Retry-After.'),
  PRECONDITION_REQUIRED: final(428, 'Read the routing; send its epoch as If-Match (`--if-match`).'),
  DATASET_EMPTY: final(422, 'Send at least one data row.'),
  DATASET_UNREADABLE: final(422, 'Check format, delimiter and header against the contract.'),
  SOURCE_DIGEST_MISMATCH: final(
    422,
    'Upload the file again; its digest differs from the named one.',
  ),
  LABEL_SINGLE_CLASS: final(422, 'Train on data in which both classes occur.'),
  TRAINER_DIVERGED: final(422, 'Lower the learning rate or check the features.'),
  TRAINER_INPUT_REFUSED: final(422, 'Correct the training data or the parameters.'),
  ONNX_PARITY_FAILED: final(500, 'Report it: the exported model differs from the trained one.'),
  RUNTIME_UNAVAILABLE: final(503, 'Install onnxruntime-node and start the worker again.'),
  ADMISSION_TIMEOUT: final(503, 'Start the run again when a training slot is free.'),
  WALL_CLOCK_EXCEEDED: final(422, 'Raise budget.maxWallClockMs or train less.'),
  EVALUATION_LEAK: final(422, 'Evaluate on rows that were not trained on.'),
  EVALUATION_EMPTY: final(422, 'Evaluate on a snapshot that has rows.'),
  ARTIFACT_CORRUPT: final(500, 'Restore the artifact; its bytes do not match its digest.'),
  GOLDEN_MISMATCH: final(
    500,
    'The model answers its golden inputs differently; do not release it.',
  ),
  PROPAGATION_TIMEOUT: final(503, 'Look at the serving processes that `laggards` names.'),
  ALL_ATTEMPTS_FAILED: final(502, 'Read the attempts of the decision; try again later.'),
  OUTPUT_CONTRACT_VIOLATION: final(502, 'The model broke its output contract; roll it back.'),
  DEADLINE_EXCEEDED: final(504, 'Allow a longer deadline.'),
  KILLED: final(503, 'A kill switch is on for this scope; ask an operator.'),
  STORE_UNAVAILABLE: again(503, 'Try again after the time in Retry-After.'),
  OVERLOADED: again(503, 'Try again after the time in Retry-After.'),
  SCHEMA_MISMATCH: final(503, 'Run the migrations of this build.'),
  START_NOT_AUTHORISED: final(403, 'Start operations through the API.'),
  OPERATION_FAILED: final(500, 'Read the failure in the Temporal UI link of the operation.'),
  SOURCE_PAUSED: final(409, 'Resume the source first.'),
  SCAN_RUNNING: final(
    409,
    'Wait for the scan that `running` names, or decide on it where it waits.',
  ),
  DECISION_EXPIRED: final(409, 'Scan the source again; this decision came too late.'),
  GENERATION_BUILDING: final(409, 'Wait for the generation that is being built.'),
  GENERATION_NOT_HELD: final(409, 'Roll back to a generation that is HOLDING.'),
  NOT_RELEASABLE: final(409, 'Correct the document at its source; access reasons stay closed.'),
  NOT_YET_INDEXED: again(409, 'Ask again in a moment; the change is still on its way.'),
  FUSION_UNPROVEN: final(
    409,
    'Evaluate the live generation on judged queries; its dense leg must rank as well as the lexical one.',
  ),
  SET_TOO_SMALL: final(409, 'Judge at least as many queries as `minimum` says.'),
  REVISION_EXPIRED: final(410, 'Cite the current revision; this text is no longer kept.'),
  REVISION_ERASED: final(410, 'Cite another source; this text was erased.'),
  EMBEDDER_UNKNOWN: final(422, 'Choose one of the embedders that this installation offers.'),
  SINK_UNKNOWN: final(422, 'Choose one of the vector stores that this installation offers.'),
  SINK_UNSUPPORTED_DIMS: final(422, 'Choose an embedder within the dimensions of the store.'),
  SOURCE_CONFIG_INVALID: final(422, 'Correct the source configuration that `errors` names.'),
  ADDRESS_FORBIDDEN: final(422, 'Use an address that the egress policy allows.'),
  ACL_REQUIRED: final(422, 'Say who may read: give the source or the collection an access list.'),
  SIGNATURE_INVALID: final(401, 'Sign `id.timestamp.body` with the secret of the source.'),
  SIGNATURE_EXPIRED: final(401, 'Send the delivery within five minutes of its timestamp.'),
  EMBEDDER_REFUSED_INPUT: final(422, 'Shorten or correct the text; the embedder refuses it.'),
  EMBEDDER_MISCONFIGURED: final(422, 'Correct the address, key or model of the embedder.'),
  EMBEDDER_DRIFTED: final(
    503,
    'Writes are paused: the embedder answers differently now; re-embed.',
  ),
  EMBEDDER_UNAVAILABLE: again(503, 'Try again later, or allow a degraded answer.'),
  EMBEDDER_RATE_LIMITED: again(503, 'Try again after the time in Retry-After.'),
  SINK_REFUSED: final(422, 'Correct the rows; the message names the limit of the store.'),
  SINK_FENCED: final(409, 'Nothing to do: another writer holds the generation now.'),
  SINK_UNAVAILABLE: again(503, 'Try again later; the backlog waits.'),
  SOURCE_UNAVAILABLE: again(503, 'Check the source; work goes on when it answers.'),
  EGRESS_REFUSED: final(422, 'Name an address that the egress policy allows.'),
  EGRESS_FAILED: again(502, 'Try again; the other side did not answer in time.'),
  DOCUMENT_SUPPRESSED: final(409, 'Nothing to do: this document was erased and stays out.'),
  DOCUMENT_REFUSED: final(422, 'Correct the document; the reason names what is wrong.'),
  INTERNAL: again(500, 'Try again; report the request id if it persists.'),
} as const satisfies Record<string, ErrorFacts>;

/** A stable error code; see {@link errorTable}. */
export type ErrorCode = keyof typeof errorTable;

/** One wrong field: where it is (RFC 6901 pointer) and what is wrong with it. */
export interface FieldError {
  pointer: string;
  code: string;
  detail?: string | undefined;
}

/**
 * An expected refusal that leaves a domain or adapter function towards the API or an activity.
 * `message` is the line for the caller; `internal` is the line for the operator and never leaves the process.
 */
export class PlatformError extends Error {
  readonly code: ErrorCode;
  readonly errors: FieldError[];
  readonly extensions: Record<string, unknown>;
  readonly internal: string | undefined;
  constructor(
    code: ErrorCode,
    message: string,
    more: {
      errors?: FieldError[] | undefined;
      extensions?: Record<string, unknown> | undefined;
      internal?: string | undefined;
    } = {},
  ) {
    super(message);
    this.name = 'PlatformError';
    this.code = code;
    this.errors = more.errors ?? [];
    this.extensions = more.extensions ?? {};
    this.internal = more.internal;
  }
}

/** True for any string that is a code of {@link errorTable}. */
export const isErrorCode = (value: unknown): value is ErrorCode =>
  typeof value === 'string' && Object.hasOwn(errorTable, value);

/** How long whoever refused asked to be left alone, in milliseconds; undefined where nothing (usable) was said. */
const askedPause = ({ retryAfterMs }: { retryAfterMs?: unknown }): number | undefined =>
  typeof retryAfterMs === 'number' && Number.isFinite(retryAfterMs) && retryAfterMs > 0
    ? Math.ceil(retryAfterMs)
    : undefined;

/**
 * The failure an activity or a workflow throws for a code: final codes are non-retryable, expected refusals (4xx)
 * carry category BENIGN so that they do not count as errors of the worker. `retryAfterMs` in the first of `details` is
 * when Temporal tries again, instead of its own schedule.
 */
export function failureOf(code: ErrorCode, message: string, details: unknown[] = []) {
  const { status, retryable } = errorTable[code];
  const [first] = details;
  const pause =
    retryable && typeof first === 'object' && first !== null ? askedPause(first) : undefined;
  return ApplicationFailure.create({
    ...(pause === undefined ? {} : { nextRetryDelay: pause }),
    type: code,
    message,
    details,
    nonRetryable: !retryable,
    ...(status < 500 ? { category: ApplicationFailureCategory.BENIGN } : {}),
  });
}
