import { digestOf } from '../digest.js';
import type { Digest } from '../ids.js';
import { completePlan, releasePlanSchema, type ReleasePlan } from './contract.js';

/**
 * Digest of a rollout plan: `anneal.rollout-plan.v1` over the plan with every default filled in, so that a plan that
 * spells a default out equals one that leaves it away. Approval and release use this one function.
 * @param plan parsed or not; what is no plan is a ZodError
 */
export const planDigest = (plan: unknown): Digest =>
  digestOf('anneal.rollout-plan.v1', completePlan(releasePlanSchema.parse(plan)));

/** The plan of a request body that carries more than the plan. */
export function planOf(request: Record<string, unknown>): ReleasePlan {
  const names = Object.keys(releasePlanSchema.shape);
  const entries = Object.entries(request).filter(([name]) => names.includes(name));
  return completePlan(releasePlanSchema.parse(Object.fromEntries(entries)));
}
