import { z } from 'zod';

/** What a run reads of a snapshot's manifest; other members are ignored. */
export const snapshotFactsSchema = z.object({
  parts: z.array(z.object({ ref: z.string(), rows: z.int() })),
  purposes: z.array(z.string()),
  profileRef: z.string(),
});
export type SnapshotFacts = z.infer<typeof snapshotFactsSchema>;
