import type { AdmissionClass, SharedClass } from './contract.js';

/** What of a route and a request decides its class. */
interface Classified {
  method: string;
  /** What the route says of itself. */
  declared?: AdmissionClass | undefined;
  /** A streamed body: a file. */
  upload: boolean;
  /** `Prefer: wait`: somebody sits in front of it. */
  waits: boolean;
}

/**
 * The class of a request: reads are interactive, uploads batch, and every other change is of the control plane unless its
 * route declares otherwise. A durable request whose caller waits for the result is interactive.
 */
export function classOfRequest({ method, declared, upload, waits }: Classified): AdmissionClass {
  const own = declared ?? (method === 'get' ? 'interactive' : upload ? 'batch' : 'control');
  return own === 'durable' && waits ? 'interactive' : own;
}

/** How much of the limit each class may fill, in basis points: what is left is for the classes above it. */
export interface ClassShares extends Record<SharedClass, number> {
  interactive: number;
}

export const defaultShares: ClassShares = { interactive: 10_000, durable: 9_000, batch: 7_500 };

/** True where so many requests at work leave no room for another one of this class. A class always gets one. */
export const isShed = (of: {
  class: SharedClass;
  /** Of all classes that share the limit. */
  inFlight: number;
  limit: number;
  shares: ClassShares;
}): boolean => of.inFlight >= Math.max(1, Math.floor((of.limit * of.shares[of.class]) / 10_000));
