/**
 * The demands, faults and invariants that a test proves so far; each tags at least one test title, as `[D26]`. The tidy
 * test holds this list and the titles together.
 */
export const reliabilityIds: readonly string[] = [
  ...['D12', 'D26', 'D35', 'D47'],
  ...['F1', 'F3', 'F4', 'F5', 'F7'],
  ...['I1', 'I2', 'I3', 'I4', 'I6', 'I9'],
];
