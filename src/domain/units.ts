/** Milliseconds in a second, a minute, an hour and a day. */
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

/** Basis points in one whole: 10000 bp = 100 %. */
export const WHOLE_BP = 10_000;

/** The largest payload that may enter Temporal, in bytes (256 KiB). */
export const MAX_TEMPORAL_PAYLOAD_BYTES = 262_144;
