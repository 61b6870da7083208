import { compileField, hasType } from '../datasets/field-check.js';
import type { Field } from '../datasets/field.js';
import type { ModelContract } from '../datasets/model-contract.js';
import type { FeedbackRequest } from './contract.js';

/** The output field that a label speaks about: `label`, or the only one that is not the probability. */
const outcomeField = (contract: ModelContract): Field | undefined => {
  const { fields } = contract.output;
  return fields.find(({ name }) => name === 'label') ?? fields[0];
};

/**
 * What is wrong with a feedback value for a model, or undefined. Labels and corrections are values of the model's
 * outcome (a class, or a number for a regression); a score is 0 … 1; a comment is text.
 */
export function feedbackProblem(
  { type, value }: Pick<FeedbackRequest, 'type' | 'value'>,
  contract: ModelContract,
): string | undefined {
  if (type === 'comment') return typeof value === 'string' ? undefined : 'must be text';
  if (type === 'score') {
    const fits = typeof value === 'number' && value >= 0 && value <= 1;
    return fits ? undefined : 'must be a number from 0 to 1';
  }
  const field = outcomeField(contract);
  if (field === undefined) return 'the model has no outcome';
  if (!hasType(field.type, value)) return `must be of type ${field.type}`;
  const compiled = compileField(field);
  if (!compiled.isKnown(value) || compiled.broken(value).length > 0)
    return 'must be a value that the model can predict';
  return undefined;
}
