import { z } from 'zod';
import { findCollection, type CollectionFacts } from './find-collection.js';
import type { FileReport } from './file-outcome.js';
import type { Session } from './open-session.js';
import { createProgress } from './progress.js';
import { createFileReader } from './read-files.js';
import { readStanding, sinceMsOf, type SourceStanding } from './read-standing.js';
import { renderCounts, renderFile } from './render-files.js';

const watchedSchema = z.looseObject({
  links: z.looseObject({ temporalUi: z.string() }).optional(),
});

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 2_000;
/** Above this many documents files are shown at the end alone: each look would list them all. */
const LIVE_FILES = 500;
/** Unchanged files that are named; more are counted. */
const NAMED_UNCHANGED = 100;

type ReadFiles = (standing: readonly SourceStanding[]) => Promise<FileReport[]>;

function fileReaderOf(session: Session, collectionId: string): ReadFiles {
  const read = createFileReader(session, collectionId);
  return (standing) =>
    read((documents) => {
      const since = new Map(
        standing.map((one) => {
          const mine = documents.filter(({ sourceId }) => sourceId === one.source.id);
          return [
            one.source.id,
            sinceMsOf(
              one,
              mine.map(({ updatedAt }) => updatedAt),
            ),
          ] as const;
        }),
      );
      return (sourceId) => since.get(sourceId) ?? 0;
    });
}

const progressText = ({ source, scans }: SourceStanding): string => {
  const { pending, claimed } = source.backlog;
  const parts = [
    ...(scans[0]?.state === 'RUNNING' ? ['scanning'] : []),
    ...(pending > 0 ? [`${pending} waiting`] : []),
    ...(claimed > 0 ? [`${claimed} in work`] : []),
  ];
  return `${source.name}: ${parts.length === 0 ? 'nothing pending' : parts.join(', ')}`;
};

/** Prints each file once per outcome: what happened at once, what stayed the same at the end. */
function createPrinter(session: Session) {
  const { io } = session.deps;
  const shown = new Map<string, string>();
  return (files: readonly FileReport[], standing: readonly SourceStanding[], isLast: boolean) => {
    if (session.output === 'json') return;
    const names = new Map(standing.map(({ source }) => [source.id, source.name]));
    const isMany = names.size > 1;
    const fresh = files.filter(({ documentId, outcome, revision }) => {
      if (!isLast && (outcome === 'unchanged' || outcome === 'waiting')) return false;
      return shown.get(documentId) !== `${outcome} ${revision ?? ''}`;
    });
    const quiet = fresh.filter(({ outcome }) => outcome === 'unchanged');
    const left = new Set(quiet.slice(NAMED_UNCHANGED));
    for (const file of fresh) {
      shown.set(file.documentId, `${file.outcome} ${file.revision ?? ''}`);
      if (!left.has(file))
        io.out(renderFile(io, file, isMany ? names.get(file.sourceId) : undefined));
    }
    if (left.size > 0) io.out(`unchanged    ${left.size.toLocaleString('en')} more`);
  };
}

async function introduce(session: Session, standing: readonly SourceStanding[]): Promise<void> {
  for (const { source } of standing) {
    const place = source.config['path'];
    const watched = watchedSchema.parse(await session.get(`/v1/sources/${source.id}`));
    const what = `${source.name}: ${source.kind}${typeof place === 'string' ? ` ${place}` : ''}`;
    session.deps.io.err([what, `  ${watched.links?.temporalUi ?? ''}`].join('\n').trimEnd());
  }
}

async function conclude(
  session: Session,
  collection: CollectionFacts,
  end: { files: FileReport[]; standing: SourceStanding[] },
): Promise<number> {
  const { io } = session.deps;
  const { files, standing } = end;
  const troubles = standing.flatMap(({ trouble }) => trouble ?? []);
  if (session.output === 'json') {
    const { id, name } = collection;
    const sources = standing.map(({ source }) => source);
    io.out(JSON.stringify({ collection: { id, name }, sources, files, troubles }, null, 2));
  } else io.out(renderCounts(files));
  for (const trouble of troubles) io.err(trouble);
  if (files.some(({ outcome }) => outcome === 'quarantined'))
    io.err(
      `  next: anneal quarantine list --state OPEN${await session.asFor('etl:steward')}; then retry, release or discard`,
    );
  else if (troubles.length === 0 && !standing.some(({ isBusy }) => isBusy))
    io.err(
      `  next: anneal search ${collection.name} "<question>" --purpose ${collection.purposes[0] ?? '<use>'} --cite`,
    );
  return troubles.length === 0 ? 0 : 1;
}

/**
 * Shows how each file of a collection's sources came out, and follows them until nothing is pending.
 * @param once one look instead
 * @returns the exit code: 1 where a person has to act on a source
 */
export async function watchCollection(
  session: Session,
  nameOrId: string,
  { once }: { once: boolean },
): Promise<number> {
  const { deps } = session;
  const collection = await findCollection(session, nameOrId);
  const readFiles = fileReaderOf(session, collection.id);
  const print = createPrinter(session);
  const say = createProgress(deps);
  let standing = await readStanding(session, collection.id);
  if (standing.length === 0) {
    deps.io.err(`${collection.name} has no source yet.`);
    deps.io.err(`  next: anneal etl source add folder <path> --collection ${collection.name}`);
    return 0;
  }
  await introduce(session, standing);
  for (let pauseMs = FIRST_PAUSE_MS; !once && standing.some(({ isBusy }) => isBusy);) {
    say(standing.map(progressText).join('; '));
    const total = standing.reduce((sum, { source }) => sum + source.documents, 0);
    if (total <= LIVE_FILES) print(await readFiles(standing), standing, false);
    await deps.pause(pauseMs);
    pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS);
    standing = await readStanding(session, collection.id);
  }
  const files = await readFiles(standing);
  print(files, standing, true);
  return conclude(session, collection, { files, standing });
}
