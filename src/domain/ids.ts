import { z } from 'zod';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Type prefixes of entity ids: what an id names can be read from the id. */
export const idPrefixes = {
  tenant: 'ten',
  principal: 'prn',
  apiKey: 'key',
  intent: 'int',
  event: 'evt',
  contract: 'con',
  publication: 'pub',
  trainingRun: 'trn',
  evaluation: 'evl',
  policy: 'pol',
  approval: 'apr',
  approvalDecision: 'dec',
  release: 'rel',
  shadow: 'shd',
  killSwitch: 'kil',
  inference: 'inf',
  feedback: 'fbk',
  leaf: 'lef',
  request: 'req',
  process: 'prc',
  collection: 'col',
  generation: 'gen',
  source: 'src',
  scan: 'scn',
  batch: 'bat',
  change: 'chg',
  writeIntent: 'wri',
  quarantineItem: 'qua',
  reconcile: 'rec',
  compaction: 'cmp',
  fit: 'fit',
  probe: 'prb',
  canary: 'can',
  evalSet: 'evs',
  retrievalEvaluation: 'evr',
  divergence: 'dvg',
  restoration: 'rst',
  backup: 'bkp',
} as const;

/** The kinds of entity that carry an id of their own. */
export type IdKind = keyof typeof idPrefixes;

/**
 * Builds a sortable id: prefix, 48-bit time in ms and 80 random bits in Crockford base 32 (the ULID layout).
 * @param kind which entity
 * @param timeMs milliseconds since the epoch, 0 ≤ timeMs < 2^48
 * @param random exactly 10 random bytes
 */
export function formatId(kind: IdKind, timeMs: number, random: Uint8Array): string {
  let time = '';
  let rest = timeMs;
  for (let i = 0; i < 10; i++) {
    time = ALPHABET.charAt(rest % 32) + time;
    rest = Math.floor(rest / 32);
  }
  let bits = 0n;
  for (const byte of random.subarray(0, 10)) bits = (bits << 8n) | BigInt(byte);
  let tail = '';
  for (let i = 0; i < 16; i++) {
    tail = ALPHABET.charAt(Number(bits & 31n)) + tail;
    bits >>= 5n;
  }
  return `${idPrefixes[kind]}_${time}${tail}`;
}

/** Schema of one kind of id, branded so that ids of different kinds do not mix. */
const idSchema = <K extends IdKind>(kind: K) =>
  z
    .string()
    .regex(new RegExp(`^${idPrefixes[kind]}_[0-9A-HJKMNP-TV-Z]{26}$`))
    .brand<K>();

export const tenantIdSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
  .brand<'tenant'>();
export const publicationIdSchema = idSchema('publication');
export const contractIdSchema = idSchema('contract');
export const trainingRunIdSchema = idSchema('trainingRun');
export const evaluationIdSchema = idSchema('evaluation');
export const approvalIdSchema = idSchema('approval');
export const releaseIdSchema = idSchema('release');
export const shadowIdSchema = idSchema('shadow');
export const inferenceIdSchema = idSchema('inference');
export const principalIdSchema = idSchema('principal');
export const apiKeyIdSchema = idSchema('apiKey');
export const killSwitchIdSchema = idSchema('killSwitch');
export const collectionIdSchema = idSchema('collection');
export const generationIdSchema = idSchema('generation');
export const sourceIdSchema = idSchema('source');
export const scanIdSchema = idSchema('scan');
export const quarantineItemIdSchema = idSchema('quarantineItem');
export const evalSetIdSchema = idSchema('evalSet');
export const retrievalEvaluationIdSchema = idSchema('retrievalEvaluation');
export const divergenceIdSchema = idSchema('divergence');
/** A document's id is derived from its source and natural key (etl.md §2): a UUID, version 8. */
export const documentIdSchema = z.uuid().brand<'document'>();

/** Names of models, data sets, policies and environments. */
export const nameSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, {
  error: 'lower-case letters, digits and hyphens, at most 63, starting with a letter or digit',
});

/** Deployment environments of one installation. */
export const envSchema = z.enum(['dev', 'staging', 'prod']);
export type Env = z.infer<typeof envSchema>;

/** `sha256:<64 hex>`: a digest as it travels through the platform. */
export const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/);
export type Digest = z.infer<typeof digestSchema>;
