import type { Caller } from '../events/change.js';

/** Generations and which of them answers. */
export interface LedgerGenerations {
  /**
   * Makes a BUILDING or HOLDING generation live; the one before is held. Only where every manifest of the target is at
   * the live revision (W5).
   * @throws NOT_FOUND, STALE_EPOCH, GENERATION_NOT_HELD, GENERATION_BUILDING where documents lag
   */
  flipGeneration: (
    caller: Caller,
    flip: {
      collectionId: string;
      generationId: string;
      epoch: number;
      holdMs: number;
      /** What the flip rests on; kept with the generation. */
      reason?: string | undefined;
    },
  ) => Promise<{ epoch: number }>;
  /** Marks it DROPPED and forgets its manifests, intents and leases; the live one is refused with GENERATION_BUILDING. */
  dropGeneration: (caller: Caller, generationId: string, reason?: string) => Promise<void>;
  /** Documents of the collection whose manifest in this generation is not at their live revision. */
  laggingDocuments: (tenant: string, generationId: string) => Promise<number>;
}
