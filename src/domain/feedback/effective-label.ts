import type { FeedbackView } from './contract.js';

const weight = { reviewer: 0, system: 1, user: 2 } as const;

/**
 * The label that counts: reviewer before system before user, then the latest observation, then the latest entry.
 * Undefined where nobody gave a label. The database's `feedback_effective_label` orders in the same way.
 */
export function effectiveLabel(entries: readonly FeedbackView[]): FeedbackView | undefined {
  const rank = (a: FeedbackView, b: FeedbackView): number =>
    weight[a.source.kind] - weight[b.source.kind] ||
    Date.parse(b.observedAt) - Date.parse(a.observedAt) ||
    (a.feedbackId < b.feedbackId ? 1 : -1);
  return entries.filter(({ type }) => type === 'label').sort(rank)[0];
}
