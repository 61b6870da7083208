/**
 * The demands, faults and invariants that a test proves so far; each tags at least one test title, as `[D26]`. The tidy
 * test holds this list and the titles together.
 */
export const reliabilityIds: readonly string[] = [
  ...['D11', 'D12', 'D19', 'D26', 'D35', 'D40', 'D41', 'D42', 'D47'],
  ...['F1', 'F2', 'F3', 'F4', 'F5', 'F7', 'F9', 'F10', 'F21', 'F31', 'F32'],
  ...['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I9', 'I10'],
];

/** Guarantees and invariants of documents that are followed; each tags at least one test title, as `[G1]` or `[W1, W2]`. */
export const knowledgeIds: readonly string[] = [
  ...['G1', 'G2', 'G3', 'G4', 'G5', 'G6', 'G7', 'G8'],
  ...['W1', 'W2', 'W3', 'W4', 'W5'],
];
