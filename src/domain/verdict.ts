import { z } from 'zod';

/**
 * PASS, FAIL, INCONCLUSIVE (measured, not decidable yet), ERROR (could not be measured).
 * INCONCLUSIVE never counts as PASS.
 */
export const verdictSchema = z.enum(['PASS', 'FAIL', 'INCONCLUSIVE', 'ERROR']);
export type Verdict = z.infer<typeof verdictSchema>;
