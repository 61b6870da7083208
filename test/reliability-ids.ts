/**
 * The demands, faults and invariants that a test proves so far; each tags at least one test title, as `[D26]`. The tidy
 * test holds this list and the titles together.
 */
export const reliabilityIds: readonly string[] = ['D12', 'D26', 'I6'];
