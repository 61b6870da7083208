import { z } from 'zod';
import { collectionIdSchema, documentIdSchema } from '../ids.js';
import { isNfc, NFC_ERROR } from '../text-name.js';
import { MAX_SECTION_CHARS } from './section-span.js';

/** What the legs of a search are. */
const queryModes = ['hybrid', 'lexical', 'dense'] as const;
export type QueryMode = (typeof queryModes)[number];

/** What a hit may be widened to. */
const expansions = ['section'] as const;

export const MAX_QUERY_CHARS = 8_000;
const MAX_HITS = 50;
const MAX_CITATIONS = 100;

const purposeSchema = z.string().min(1).max(100).meta({
  description: 'What the answer is used for: a purpose that the collection allows.',
});

const principalName = z
  .string()
  .regex(/^[^\s\p{C}]{1,128}$/u, { error: 'no white space, at most 128 characters' })
  .refine(isNfc, { error: NFC_ERROR });

/** Whom a delegate asks for; needs `retrieval:delegate`. */
const onBehalfOfSchema = z.strictObject({
  subject: principalName.meta({ description: 'Becomes the token `user:<subject>`.' }),
  groups: z.array(principalName).max(200).default([]),
});

/** Metadata that every hit equals in every named field. */
const metadataFilterSchema = z
  .record(
    z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/),
    z.union([z.string().max(1_000), z.number(), z.boolean()]),
  )
  .refine((filter) => Object.keys(filter).length <= 20, { error: 'at most 20 fields' });

/** Body of `POST /v1/collections/{id}:query`. */
export const querySchema = z.strictObject({
  text: z.string().min(1).max(MAX_QUERY_CHARS),
  k: z.int().min(1).max(MAX_HITS).default(10),
  purpose: purposeSchema,
  filter: metadataFilterSchema.default({}),
  mode: z.enum(queryModes).default('hybrid'),
  after: z.string().min(1).max(200).optional().meta({
    description:
      'A changeToken: answers only once that change is searchable, else NOT_YET_INDEXED.',
  }),
  allowDegraded: z.boolean().default(false).meta({
    description: 'Where the embedder does not answer: the lexical leg alone, marked `degraded`.',
  }),
  expand: z
    .enum(expansions)
    .optional()
    .meta({
      description:
        'What a hit is widened to. `section`: the text around its chunk under the same headings, at most ' +
        `${MAX_SECTION_CHARS} characters, cut between chunks, with a citation of its own.`,
    }),
  onBehalfOf: onBehalfOfSchema.optional(),
});
export type Query = z.infer<typeof querySchema>;

/** SHA-256 of the UTF-8 bytes of a span, hexadecimal: anyone can compute it again. */
const textSha256Schema = z.string().regex(/^[0-9a-f]{64}$/);

/** A pinned revision and an exact span of its text. */
const citationSchema = z
  .object({
    documentId: documentIdSchema,
    revision: z.int().min(1),
    start: z.int().min(0),
    end: z.int().min(1),
    unit: z.literal('utf16'),
    textSha256: textSha256Schema,
    title: z.string(),
    headingPath: z.array(z.string()),
    page: z.int().min(1).nullable(),
  })
  .meta({ id: 'Citation' });
export type Citation = z.infer<typeof citationSchema>;

const sectionSchema = z
  .object({
    text: z.string().meta({ description: 'The span that the citation of the section names.' }),
    whole: z.boolean().meta({ description: 'False where the section goes on beyond this text.' }),
    citation: citationSchema,
  })
  .meta({ id: 'Section' });

const hitSchema = z
  .object({
    chunkId: z.uuid(),
    text: z.string().meta({ description: 'The span that the citation names.' }),
    score: z.number(),
    lexicalScore: z.number().nullable(),
    denseScore: z.number().nullable(),
    /** The revision is older than its source, whose newer state waits in quarantine. */
    stale: z.boolean(),
    citation: citationSchema,
    section: sectionSchema.optional().meta({
      description: 'Where `expand` asks for it: the section that holds the hit, at its revision.',
    }),
  })
  .meta({ id: 'Hit' });
export type RetrievedHit = z.infer<typeof hitSchema>;

/** How far a collection is behind its sources; `stale` where the oldest open change is over the objective. */
const freshnessSchema = z
  .object({
    oldestUnappliedMs: z.int().min(0),
    lastCompleteScanAt: z.iso.datetime().nullable(),
    stale: z.boolean(),
  })
  .meta({ id: 'Freshness' });
export type Freshness = z.infer<typeof freshnessSchema>;

/** What a search answers. */
export const answerSchema = z
  .object({
    hits: z.array(hitSchema),
    collectionId: collectionIdSchema,
    generationId: z.string(),
    embedFp: z.string(),
    freshness: freshnessSchema,
    exhausted: z.boolean().meta({
      description:
        'Fewer than k hits although the store has more candidates: the limit was reached.',
    }),
    degraded: z.boolean().meta({ description: 'The embedder did not answer: lexical leg alone.' }),
  })
  .meta({ id: 'RetrievalAnswer' });
export type RetrievalAnswer = z.infer<typeof answerSchema>;

/** Body of `POST /v1/citations:verify`. */
export const verifyCitationsSchema = z.strictObject({
  purpose: purposeSchema,
  citations: z
    .array(
      // Open: a citation is sent back as a query answered it, with its title and what later builds add to it.
      z.object({
        documentId: documentIdSchema,
        revision: z.int().min(1).max(2_147_483_647),
        start: z.int().min(0),
        end: z.int().min(1),
        textSha256: textSha256Schema,
      }),
    )
    .min(1)
    .max(MAX_CITATIONS),
  onBehalfOf: onBehalfOfSchema.optional(),
});
export type VerifyCitations = z.infer<typeof verifyCitationsSchema>;
export type CitedSpan = VerifyCitations['citations'][number];

/**
 * VALID: the live revision has exactly this text there. SUPERSEDED: an earlier revision had (`checked` false: its text is
 * no longer kept). ERASED: the text was erased. MISMATCH: another text is there, or nothing that the caller may read.
 */
const citationVerdicts = ['VALID', 'SUPERSEDED', 'ERASED', 'MISMATCH'] as const;
export type CitationVerdict = (typeof citationVerdicts)[number];

export const verifiedCitationsSchema = z
  .object({
    verdicts: z.array(
      z.object({
        documentId: documentIdSchema,
        revision: z.int(),
        verdict: z.enum(citationVerdicts),
        checked: z.boolean().meta({ description: 'Whether the text itself was compared.' }),
      }),
    ),
  })
  .meta({ id: 'CitationVerdicts' });
export type VerifiedCitations = z.infer<typeof verifiedCitationsSchema>;
