import { join } from 'node:path';
import { z } from 'zod';
import { readUpload } from '../read-body.js';
import { UnreachableError } from '../call-api.js';
import { RefusedError } from '../refused-error.js';
import { listDocuments } from './list-documents.js';
import type { Session } from './open-session.js';
import { createProgress } from './progress.js';
import { walkFolder, type FolderFiles } from './walk-folder.js';

const recordedSchema = z.looseObject({ recorded: z.int() });
const problemSchema = z.looseObject({ code: z.string() });

/** What became of the files of a folder. */
export interface UploadReport {
  /** New to the platform, or changed. */
  sent: number;
  /** Known as they are. */
  unchanged: number;
  skipped: FolderFiles['skipped'];
  failed: { key: string; code: string }[];
  /** Sent by an earlier upload, and not in the folder any more: an upload deletes nothing. */
  gone: { key: string; documentId: string }[];
}

const AT_ONCE = 4;
const TRIES = 4;
const FIRST_PAUSE_MS = 1_000;
/** Refusals of one document; any other one would meet every file. */
const ofOneFile = new Set([400, 413, 415, 422]);
const comesBack = (error: unknown): boolean =>
  error instanceof UnreachableError ||
  (error instanceof RefusedError && [429, 502, 503].includes(error.answer.status));

/** Sends one file, again where the platform is busy. @returns whether it was new or changed */
async function uploadFile(
  session: Session,
  of: { folder: string; sourceId: string; key: string },
): Promise<boolean> {
  const path = `/v1/sources/${of.sourceId}/documents`;
  // One key for all tries: a lost answer is not a second change.
  const key = session.deps.newKey();
  for (let left = TRIES; ;) {
    try {
      const body = await readUpload({ key: keyOf(of.key) }, join(of.folder, of.key));
      const answer = await session.send({ method: 'PUT', path, body, key });
      return recordedSchema.parse(answer).recorded > 0;
    } catch (error) {
      if (!comesBack(error) || --left === 0) throw error;
      await session.deps.pause(FIRST_PAUSE_MS * 2 ** (TRIES - 1 - left));
    }
  }
}

/** What the platform knows a file by. A Mac spells the accents of file names in another form (NFD) than it takes. */
const keyOf = (path: string): string => path.normalize('NFC');

const codeOf = ({ answer }: RefusedError): string =>
  problemSchema.safeParse(answer.body).data?.code ?? `HTTP ${answer.status}`;

async function findGone(
  session: Session,
  sourceId: string,
  { keys, skipped }: FolderFiles,
): Promise<UploadReport['gone']> {
  const here = new Set([...keys, ...skipped.map(({ key }) => key)].map(keyOf));
  return (await listDocuments(session, { sourceId }))
    .filter(({ key, state }) => state !== 'DELETED' && !here.has(key))
    .map(({ key, id: documentId }) => ({ key, documentId }));
}

/**
 * Sends every file of a folder to an upload source, a few at a time, each streamed from the disk. To repeat it sends what
 * changed: the platform knows the rest.
 * @throws RefusedError for what would meet every file, UnreachableError
 */
export async function uploadFolder(
  session: Session,
  of: { folder: string; sourceId: string },
): Promise<UploadReport> {
  const files = await walkFolder(of.folder);
  const { keys, skipped } = files;
  const report: UploadReport = { sent: 0, unchanged: 0, skipped, failed: [], gone: [] };
  const say = createProgress(session.deps);
  const queue = keys.values();
  let done = 0;
  let stopped = false;
  const send = async () => {
    for (const key of queue) {
      if (stopped) return;
      try {
        if (await uploadFile(session, { ...of, key })) report.sent++;
        else report.unchanged++;
      } catch (error) {
        if (!(error instanceof RefusedError) || !ofOneFile.has(error.answer.status)) {
          stopped = true;
          throw error;
        }
        report.failed.push({ key, code: codeOf(error) });
      }
      done++;
      if (
        session.output === 'table' &&
        (keys.length <= 20 || done === keys.length || done % 50 === 0)
      )
        say(`${done} of ${keys.length}  ${key}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, send));
  return { ...report, gone: await findGone(session, of.sourceId, files) };
}
