import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/workflow';
import { isErrorCode, type ErrorCode } from '../../domain/errors.js';

/** The code of what stopped a step; `DEADLINE_EXCEEDED` where its time ran out. */
export function codeOf(error: unknown): ErrorCode {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure && isErrorCode(cause.type)) return cause.type;
  return cause instanceof TimeoutFailure ? 'DEADLINE_EXCEEDED' : 'OPERATION_FAILED';
}

// What no retry mends: someone has to change a setting, a credential or a limit first.
const settings: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'EMBEDDER_MISCONFIGURED',
  'EMBEDDER_UNKNOWN',
  'EMBEDDER_DRIFTED',
  'SINK_REFUSED',
  'SINK_UNKNOWN',
  'SINK_UNSUPPORTED_DIMS',
  'SOURCE_CONFIG_INVALID',
  'ADDRESS_FORBIDDEN',
  'EGRESS_REFUSED',
  'ACL_REQUIRED',
]);

/** Whether a batch can be run again later, or waits for someone to change a setting. */
export const troubleOf = (code: ErrorCode): 'TROUBLE' | 'MISCONFIGURED' =>
  settings.has(code) ? 'MISCONFIGURED' : 'TROUBLE';
