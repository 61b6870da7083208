import { cosine } from './vector-check.js';

/**
 * Twenty texts that are embedded daily for each `embed_fp`, to notice a provider that changes its model in silence.
 * Of several languages, lengths and subjects, because a change may touch only some. Never edited: stored vectors are
 * compared with new ones by position.
 */
export const canaryTexts: readonly string[] = [
  'A durable workflow continues after its worker has crashed.',
  'The invoice is due within thirty days of receipt.',
  'Rotate the signing key every ninety days and keep the old one for verification.',
  'Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.',
  "SELECT id, name FROM customer WHERE created_at > now() - interval '7 days'",
  'for (const item of items) total += item.price * item.quantity;',
  'The patient reported mild chest pain after exercise but no shortness of breath.',
  'Wie kündige ich meinen Vertrag vor Ablauf der Mindestlaufzeit?',
  'Le contrat est renouvelé par tacite reconduction chaque année.',
  'La reunión se ha aplazado hasta el próximo martes por la tarde.',
  '会議は来週の火曜日に延期されました。',
  'Договор вступает в силу с момента подписания.',
  'يسري العقد من تاريخ التوقيع عليه.',
  'yes',
  '42',
  'Error 503: service unavailable, retry after 20 seconds',
  'Warm the butter, fold in the flour, then add milk slowly while stirring.',
  'The court held that the clause was void because the notice had been ambiguous.',
  'Annual revenue grew by 4.2 % to 1.3 billion, driven by services rather than licences.',
  'The tide went out, and the boats lay on the mud until evening.',
];

/** Below this cosine a canary text counts as answered by another model. */
const canaryCosine = 0.999;

/** What the comparison of the canary vectors says. */
export interface CanaryVerdict {
  drifted: boolean;
  /** Lowest cosine found; NaN where a vector is missing, zero or of other length, which counts as drift. */
  lowest: number;
  /** Positions in {@link canaryTexts} that answered differently. */
  positions: number[];
}

/** Compares stored canary vectors with new ones, position by position. */
export function compareCanaries(
  stored: readonly Float32Array[],
  current: readonly (Float32Array | undefined)[],
): CanaryVerdict {
  const none = new Float32Array(0);
  const similarities = Array.from({ length: Math.max(stored.length, current.length) }, (_, at) =>
    cosine(stored[at] ?? none, current[at] ?? none),
  );
  // Negated, so that NaN drifts.
  const positions = similarities.flatMap((similarity, at) =>
    !(similarity >= canaryCosine) ? [at] : [],
  );
  return {
    drifted: positions.length > 0 || similarities.length === 0,
    lowest: similarities.some(Number.isNaN) ? NaN : Math.min(...similarities),
    positions,
  };
}
