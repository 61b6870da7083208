import { z } from 'zod';
import { RefusedError } from '../refused-error.js';
import { renderResult } from '../render-result.js';
import { UsageError } from '../usage-error.js';
import { findCollection, isCollectionId } from './find-collection.js';
import type { Session } from './open-session.js';
import { renderHits, type Hit } from './render-hits.js';

/** What `search` was given. */
export interface SearchOptions {
  purpose: string;
  k: string;
  mode?: string;
  filter?: string[];
  expand?: string;
  cite?: boolean;
}

const citationSchema = z.looseObject({
  documentId: z.string(),
  revision: z.int(),
  start: z.int(),
  end: z.int(),
  textSha256: z.string(),
  title: z.string(),
  headingPath: z.array(z.string()),
  page: z.int().nullable(),
});
const answerSchema = z.looseObject({
  hits: z.array(
    z.looseObject({
      text: z.string(),
      score: z.number(),
      stale: z.boolean(),
      citation: citationSchema,
      section: z
        .looseObject({ text: z.string(), whole: z.boolean(), citation: citationSchema })
        .optional(),
    }),
  ),
  freshness: z.looseObject({ oldestUnappliedMs: z.number(), stale: z.boolean() }),
  exhausted: z.boolean(),
  degraded: z.boolean(),
});
type Answer = z.infer<typeof answerSchema>;
const verdictsSchema = z.object({ verdicts: z.array(z.looseObject({ verdict: z.string() })) });
const meSchema = z.looseObject({
  name: z.string(),
  groups: z.array(z.string()),
  roles: z.array(z.string()),
});

function countOfHits(text: string): number {
  const k = Number(text);
  if (!Number.isInteger(k) || k < 1) throw new UsageError(`-k ${text}: give a whole number.`);
  return k;
}

/** A value as the documents' metadata has it: a number or a truth value where it reads as one, else text. */
function filterOf(settings: readonly string[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    settings.map((setting) => {
      const at = setting.indexOf('=');
      if (at < 1) throw new UsageError(`--filter ${setting}: write it as field=value.`);
      const text = setting.slice(at + 1);
      const isTruth = text === 'true' || text === 'false';
      const isNumber = /^-?(?:0|[1-9]\d{0,14})(?:\.\d+)?$/.test(text);
      return [setting.slice(0, at), isTruth ? text === 'true' : isNumber ? Number(text) : text];
    }),
  );
}

const isPurposeDenied = (error: RefusedError): boolean =>
  z.looseObject({ code: z.literal('PURPOSE_DENIED') }).safeParse(error.answer.body).success;

/** Asks by id at once; by name it knows the collection, and so which purposes there are. */
async function sendQuery(session: Session, nameOrId: string, query: object): Promise<unknown> {
  const known = isCollectionId(nameOrId)
    ? { id: nameOrId, purposes: [] }
    : await findCollection(session, nameOrId);
  const path = `/v1/collections/${known.id}:query`;
  try {
    return await session.send({ method: 'POST', path, body: JSON.stringify(query) });
  } catch (error) {
    if (!(error instanceof RefusedError) || !isPurposeDenied(error)) throw error;
    const purposes = known.purposes.map((purpose) => `--purpose ${purpose}`).join(', ');
    throw new RefusedError(error.answer, purposes === '' ? undefined : `It allows ${purposes}.`);
  }
}

/** What an answer cites: the hits and, after them, the sections they were widened to. */
const citedIn = ({ hits }: Answer) => [
  ...hits.map(({ citation }) => citation),
  ...hits.flatMap(({ section }) => (section === undefined ? [] : [section.citation])),
];

async function verify(
  session: Session,
  purpose: string,
  cited: ReturnType<typeof citedIn>,
): Promise<string[]> {
  if (cited.length === 0) return [];
  const citations = cited.map((citation) => {
    const { documentId, revision, start, end, textSha256 } = citation;
    return { documentId, revision, start, end, textSha256 };
  });
  const body = JSON.stringify({ purpose, citations });
  const answer = await session.send({ method: 'POST', path: '/v1/citations:verify', body });
  return verdictsSchema.parse(answer).verdicts.map(({ verdict }) => verdict);
}

/** Hits and their sections with the verdicts on both, in the order in which `citedIn` names them. */
function judged(hits: Answer['hits'], verdicts: readonly string[] | undefined): Hit[] {
  let widened = hits.length;
  return hits.map(({ section, ...hit }, at) => ({
    ...hit,
    verdict: verdicts?.[at],
    section: section && { ...section, verdict: verdicts?.[widened++] },
  }));
}

/** Why there may be nothing: the usual reason is an access list that does not name the caller. */
async function explainNothing(session: Session, nameOrId: string): Promise<void> {
  const { name, groups, roles } = meSchema.parse(await session.get('/v1/me'));
  const { io } = session.deps;
  const tokens = [
    'public',
    ...[...new Set([...groups, ...roles])].map((group) => `group:${group}`),
  ];
  io.err(`Nothing found. You are ${name}, who reads what names ${tokens.join(', ')} or yourself.`);
  io.err(`  next: anneal etl source watch ${nameOrId} --once`);
}

function warn(session: Session, { freshness, exhausted, degraded, hits }: Answer): void {
  const { io } = session.deps;
  const seconds = Math.round(freshness.oldestUnappliedMs / 1_000);
  if (degraded) io.err('The embedder did not answer: found by words alone.');
  if (freshness.stale) io.err(`A change of ${seconds} s ago is not searchable yet.`);
  if (hits.some(({ stale }) => stale))
    io.err('A hit marked stale is older than its source, whose newer state is in quarantine.');
  if (exhausted) io.err('There may be more: the search stopped at its limit.');
}

/** Asks a collection and prints hits; with `cite` each citation is verified. @returns the exit code */
export async function searchCollection(
  session: Session,
  asked: { collection: string; text: string },
  options: SearchOptions,
): Promise<number> {
  const { purpose, mode, expand, cite = false } = options;
  const { io } = session.deps;
  const k = countOfHits(options.k);
  const filter = filterOf(options.filter ?? []);
  const query = { text: asked.text, k, purpose, mode, filter, expand };
  const raw = await sendQuery(session, asked.collection, query);
  const answer = answerSchema.parse(raw);
  const verdicts = cite ? await verify(session, purpose, citedIn(answer)) : undefined;
  if (session.output === 'json') {
    io.out(renderResult(io, 'json', verdicts === undefined ? raw : { ...answer, verdicts }));
  } else if (answer.hits.length > 0) {
    io.out(renderHits(io, judged(answer.hits, verdicts), asked.text));
  }
  if (answer.hits.length === 0) await explainNothing(session, asked.collection);
  warn(session, answer);
  const failed = verdicts?.filter((verdict) => verdict !== 'VALID').length ?? 0;
  if (failed > 0) io.err(`${failed} of ${verdicts?.length ?? 0} citations do not verify.`);
  return failed === 0 ? 0 : 1;
}
