import { feedbackProblem } from '../../src/domain/feedback/feedback-problem.js';
import type { FeedbackView } from '../../src/domain/feedback/contract.js';
import { effectiveLabel } from '../../src/domain/feedback/effective-label.js';
import { parseModelContract } from '../../src/domain/datasets/model-contract.js';

const parsed = parseModelContract({
  input: { fields: [{ name: 'x', type: 'number' }] },
  output: {
    fields: [
      { name: 'label', type: 'categorical', enum: ['no', 'yes'] },
      { name: 'probability', type: 'number', min: 0, max: 1 },
    ],
  },
});
if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
const { contract } = parsed;

const entry = (
  kind: FeedbackView['source']['kind'],
  hour: number,
  more: Partial<FeedbackView> = {},
): FeedbackView => ({
  feedbackId: `fbk_${kind}_${hour}`,
  decisionId: 'inf',
  type: 'label',
  value: 'yes',
  source: { kind, id: 's' },
  observedAt: `2026-01-01T0${hour}:00:00.000Z`,
  createdAt: '2026-01-01T09:00:00.000Z',
  ...more,
});

describe('feedback', () => {
  it.each([
    ['label', 'yes', undefined],
    ['label', 'maybe', 'must be a value that the model can predict'],
    ['label', 1, 'must be of type categorical'],
    ['correction', 'no', undefined],
    ['correction', 'perhaps', 'must be a value that the model can predict'],
    ['score', 0.5, undefined],
    ['score', 1.5, 'must be a number from 0 to 1'],
    ['score', 'good', 'must be a number from 0 to 1'],
    ['comment', 'too harsh', undefined],
    ['comment', 3, 'must be text'],
  ] as const)('takes a %s of %s as its model allows', (type, value, problem) => {
    expect(feedbackProblem({ type, value }, contract)).toBe(problem);
  });

  it('counts reviewer before system before user, then the latest observation', () => {
    const user = entry('user', 8);
    const system = [entry('system', 1), entry('system', 3)];
    const reviewer = entry('reviewer', 0);
    expect(effectiveLabel([user])).toBe(user);
    expect(effectiveLabel([user, ...system])).toBe(system[1]);
    expect(effectiveLabel([user, ...system, reviewer])).toBe(reviewer);
    expect(effectiveLabel([entry('reviewer', 5, { type: 'score', value: 1 })])).toBeUndefined();
  });
});
