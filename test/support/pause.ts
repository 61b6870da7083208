/** Resolves after this many milliseconds: for polling from outside, never instead of a condition. */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));
