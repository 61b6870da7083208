import { evaluationPolicySchema } from './criteria.js';
import type { EvaluationPolicy } from './criteria.js';

/**
 * Evaluation policy `default`, revision 1, that every tenant starts with.
 *
 * The absolute accuracy bound of 0.7 is a floor against broken models, not a statement that 0.7 is good: what is good
 * depends on the task, and a team writes its own policy for that. No floor can serve both balanced and skewed labels,
 * so `beats-majority` shows next to it, as a warning, whether the model does better than always answering the larger
 * class. Too few rows for the accuracy criteria go to the approver's review: a small data set must not be a dead end,
 * and it must not pass by itself either. A contract break and a quality loss may be waived by two approvers; a leak
 * and a refused artifact may not.
 */
export const defaultPolicy: EvaluationPolicy = evaluationPolicySchema.parse({
  name: 'default',
  revision: 1,
  criteria: [
    {
      id: 'accuracy',
      metric: 'accuracy',
      op: 'gte',
      threshold: 0.7,
      vs: 'absolute',
      severity: 'block',
      onInconclusive: 'review',
      waivable: true,
    },
    {
      id: 'accuracy-vs-champion',
      metric: 'accuracy',
      op: 'gte',
      vs: 'champion',
      margin: 0.01,
      whenNoChampion: 'skip',
      severity: 'block',
      onInconclusive: 'review',
      waivable: true,
    },
    {
      id: 'contract-compat',
      metric: 'contract_compat',
      op: 'gte',
      threshold: 1,
      vs: 'absolute',
      severity: 'block',
      waivable: true,
    },
    {
      id: 'leak',
      metric: 'leak_share',
      op: 'lte',
      threshold: 0.01,
      vs: 'absolute',
      severity: 'block',
    },
    {
      id: 'artifact-scan',
      metric: 'artifact_scan',
      op: 'gte',
      threshold: 1,
      vs: 'absolute',
      severity: 'block',
    },
    {
      id: 'beats-majority',
      metric: 'accuracy_over_majority',
      op: 'gte',
      threshold: 0,
      vs: 'absolute',
      severity: 'warn',
      onInconclusive: 'review',
    },
    {
      id: 'demographic-parity',
      metric: 'demographic_parity_difference',
      op: 'lte',
      threshold: 0.1,
      vs: 'absolute',
      severity: 'warn',
      onInconclusive: 'review',
    },
    {
      id: 'equalized-odds',
      metric: 'equalized_odds_difference',
      op: 'lte',
      threshold: 0.1,
      vs: 'absolute',
      severity: 'warn',
      onInconclusive: 'review',
    },
    {
      id: 'parity-ratio-vs-champion',
      metric: 'demographic_parity_ratio',
      op: 'gte',
      vs: 'champion',
      margin: 0.02,
      whenNoChampion: 'skip',
      severity: 'warn',
      onInconclusive: 'review',
    },
  ],
});
