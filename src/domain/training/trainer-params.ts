import { z } from 'zod';
import type { FieldError } from '../errors.js';

/** Trainers that run in this installation's own worker threads. */
export type LocalTrainerKind = 'logistic' | 'gbt';

/**
 * Parameters of `logistic`: `lambda` of the ridge penalty λ/2·‖w‖², at most `maxIterations` Newton steps, until
 * ‖gradient‖∞ ≤ `tolerance` · rows.
 */
export const logisticParamsSchema = z.strictObject({
  lambda: z.number().min(1e-6).max(1e6).default(1),
  maxIterations: z.int().min(1).max(500).default(500),
  tolerance: z.number().min(1e-12).max(1e-2).default(1e-6),
});
export type LogisticParams = z.infer<typeof logisticParamsSchema>;

/**
 * Parameters of `gbt`: `trees` of at most `depth` levels of splits, leaf values times `rate`, `bins` per numeric field,
 * ridge `lambda` on leaf values, `minHessian` per leaf.
 */
export const gbtParamsSchema = z.strictObject({
  trees: z.int().min(1).max(1_000).default(100),
  depth: z.int().min(1).max(8).default(5),
  rate: z.number().min(0.001).max(1).default(0.1),
  bins: z.int().min(2).max(255).default(64),
  lambda: z.number().min(1e-6).max(1e6).default(1),
  minHessian: z.number().min(1e-3).max(1e6).default(1),
});
export type GbtParams = z.infer<typeof gbtParamsSchema>;

/** A trainer with complete, checked parameters. */
export type TrainerSpec =
  { kind: 'logistic'; params: LogisticParams } | { kind: 'gbt'; params: GbtParams };

/** Steps after which a trainer stops at the latest: Newton steps of `logistic`, trees of `gbt`. */
export const maxStepsOf = (trainer: TrainerSpec): number =>
  trainer.kind === 'logistic' ? trainer.params.maxIterations : trainer.params.trees;

export type TrainerParamsOutcome =
  | { ok: true; trainer: TrainerSpec }
  | { ok: false; code: 'PARAMETER_INVALID'; errors: FieldError[] };

const escaped = (part: PropertyKey): string =>
  String(part).replaceAll('~', '~0').replaceAll('/', '~1');

function fieldErrors(issues: readonly z.core.$ZodIssue[]): FieldError[] {
  return issues.flatMap((issue) => {
    const at = ['', 'trainer', 'params', ...issue.path.map(escaped)].join('/');
    if (issue.code !== 'unrecognized_keys')
      return [{ pointer: at, code: issue.code.toUpperCase(), detail: issue.message }];
    return issue.keys.map((key) => ({
      pointer: `${at}/${escaped(key)}`,
      code: 'UNKNOWN_PARAMETER',
      detail: 'this trainer has no such parameter',
    }));
  });
}

/**
 * Checks the parameters of a trainer and fills in the defaults. Every wrong or unknown one is named by its pointer in
 * the request (`/trainer/params/…`) under `PARAMETER_INVALID`.
 */
export function parseTrainerParams(kind: LocalTrainerKind, params: unknown): TrainerParamsOutcome {
  const refuse = (error: z.ZodError): TrainerParamsOutcome => ({
    ok: false,
    code: 'PARAMETER_INVALID',
    errors: fieldErrors(error.issues),
  });
  if (kind === 'logistic') {
    const parsed = logisticParamsSchema.safeParse(params ?? {});
    return parsed.success
      ? { ok: true, trainer: { kind, params: parsed.data } }
      : refuse(parsed.error);
  }
  const parsed = gbtParamsSchema.safeParse(params ?? {});
  return parsed.success
    ? { ok: true, trainer: { kind, params: parsed.data } }
    : refuse(parsed.error);
}
