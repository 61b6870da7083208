import type { z } from 'zod';
import { PlatformError } from '../domain/errors.js';
import { pointerOf } from './problem.js';
import type { Reply, Route } from './route.js';

const OK = 200;
/** Paths that the log names of one answer. */
const NAMED = 20;

/** Every issue of an answer, those within the branches of a union too; where it is and what it is, never what was there. */
function faultsOf(
  issues: readonly z.core.$ZodIssue[],
  path: readonly PropertyKey[] = [],
): string[] {
  return issues.flatMap((issue) => {
    const at = [...path, ...issue.path];
    const own = `${pointerOf(at) || '/'} ${issue.code}`;
    if (issue.code !== 'invalid_union') return [own];
    return [own, ...issue.errors.flatMap((branch) => faultsOf(branch, at))];
  });
}

/** The schema of an answer: a route that can be waited for answers its result with 200, and its start with another status. */
const schemaOf = ({ response, wait }: Route['spec'], status: number): z.ZodType =>
  wait !== undefined && status === OK && response.status !== OK ? wait.schema : response.schema;

/**
 * The body of an answer with what its schema declares and nothing else: a column that a view took along leaves no process.
 * @throws INTERNAL where it does not fit, with the paths for the log: half of an answer would be taken for a whole one
 */
export function fitAnswer(spec: Route['spec'], { status, body }: Reply<unknown>): unknown {
  const parsed = schemaOf(spec, status).safeParse(body);
  if (parsed.success) return parsed.data;
  const faults = faultsOf(parsed.error.issues).slice(0, NAMED).join(', ');
  throw new PlatformError('INTERNAL', 'Something went wrong on our side.', {
    internal: `the answer of ${spec.operation} does not fit its schema: ${faults}`,
  });
}
