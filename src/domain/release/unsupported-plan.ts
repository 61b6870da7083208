import type { FieldError } from '../errors.js';
import type { ReleasePlan } from './contract.js';

const unsupported = (pointer: string, detail: string): FieldError => ({
  pointer,
  code: 'unsupported',
  detail,
});

/** The guardrails that apply where no second arm serves beside the version. */
const guardrailsWithoutArms = ['error'];

/**
 * The fields of a plan that this installation cannot honour: none is ever ignored (422 `PLAN_UNSUPPORTED`).
 * Weight steps need a second arm: until they are here, a plan moves all traffic at once.
 */
export function unsupportedPlanFields(plan: ReleasePlan): FieldError[] {
  const found: FieldError[] = [];
  if (plan.strategy === 'canary' || plan.strategy === 'ab') {
    found.push(unsupported('/strategy', 'use blue_green'));
  }
  if (plan.strategy === 'rollback') {
    found.push(unsupported('/strategy', 'roll back through …/rollbacks'));
  }
  if (plan.steps.length > 0) found.push(unsupported('/steps', 'weight steps; send []'));
  if (plan.errorMarginBp !== 200) {
    found.push(unsupported('/errorMarginBp', 'it compares two arms; leave it away'));
  }
  for (const [index, name] of (plan.guardrails ?? []).entries()) {
    if (!guardrailsWithoutArms.includes(name)) {
      found.push(unsupported(`/guardrails/${index}`, `${name} compares two arms`));
    }
  }
  if (plan.primaryMetric !== undefined && plan.primaryMetric.name !== 'accuracy') {
    found.push(unsupported('/primaryMetric/name', 'use accuracy'));
  }
  if (plan.segments !== undefined) found.push(unsupported('/segments', 'segments of traffic'));
  if (plan.shadow?.costCapMicroUsd !== undefined) {
    found.push(unsupported('/shadow/costCapMicroUsd', 'costs are not metered yet'));
  }
  return found;
}
