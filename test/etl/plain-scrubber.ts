import type { EtlDeps } from '../../src/activities/etl/index.js';

type Scrubber = Awaited<ReturnType<EtlDeps['scrubber']>>;

/** A scrubber that finds nothing, under the policy and key that the worlds of these tests are seeded with. */
export const plainScrubber: Scrubber = {
  policyVersion: 'p1',
  keyId: 'k1',
  scrub: (text) => ({ text, counts: {}, subjects: [] }),
  hasResidual: () => false,
  subjectToken: (subject) => subject,
};
