import { z } from 'zod';
import type { QuarantineReason } from '../../domain/etl/gates.js';

const words: Record<QuarantineReason, string> = {
  no_text_layer: 'the PDF has no text, only pictures of it',
  encrypted: 'it opens with a password only',
  parse_failed: 'it cannot be read as its type',
  parse_limit: 'reading it takes more time, memory or space than is allowed',
  empty_text: 'it has less than 20 characters of text',
  mojibake: 'its characters are damaged or of another encoding',
  too_many_chunks: 'it is too long',
  chunk_count_jump: 'its length changed tenfold at once',
  bad_vector: 'the embedder answered no valid vector',
  poison: 'work on it was lost five times',
  residual_pii: 'personal data was left after the scrub',
  acl_unresolved: 'nobody is named who may read it',
  consent_missing: 'the consent of its subject is missing',
};

const detailOf = (evidence: unknown): string => {
  const { data } = z.looseObject({ detail: z.string() }).safeParse(evidence);
  return data === undefined ? '' : `, ${data.detail}`;
};

/** A reason of quarantine as people read it; one that this build does not know stays as it is. */
export function quarantineWords(reason: string, evidence?: unknown): string {
  const known = Object.hasOwn(words, reason) ? words[reason as QuarantineReason] : undefined;
  const said = `${reason}${detailOf(evidence)}`;
  return known === undefined ? said : `${known} (${said})`;
}
