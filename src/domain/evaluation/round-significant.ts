/** Digits that a reported number keeps. Verdicts are judged on the rounded numbers, so a report proves itself. */
const SIGNIFICANT_DIGITS = 12;

/**
 * Rounds to 12 significant decimal digits; −0 becomes 0, and a value that is not finite becomes null, because JSON
 * cannot hold it. Twelve digits are far beyond any sampling error and far above the last bits in which two machines
 * may differ.
 */
export function roundSignificant(value: number): number | null {
  if (!Number.isFinite(value)) return null;
  return Number(value.toPrecision(SIGNIFICANT_DIGITS)) + 0;
}
