import {
  completePlan,
  releasePlanSchema,
  type ReleasePlan,
} from '../../src/domain/release/contract.js';

/** A plan with its defaults; blue-green unless told. */
export const planWith = (fields: Record<string, unknown> = {}): ReleasePlan =>
  completePlan(releasePlanSchema.parse({ strategy: 'blue_green', ...fields }));
