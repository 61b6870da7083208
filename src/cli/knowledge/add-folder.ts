import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { z } from 'zod';
import { RefusedError } from '../refused-error.js';
import { renderResult } from '../render-result.js';
import { UsageError } from '../usage-error.js';
import { findCollection, type CollectionFacts } from './find-collection.js';
import { repeatable, type Session } from './open-session.js';
import { listSources, sourceSchema, type SourceFacts } from './list-sources.js';
import { renderUpload } from './render-upload.js';
import { uploadFolder } from './upload-folder.js';

/** What `etl source add folder` was given. */
export interface AddFolderOptions {
  collection: string;
  name?: string;
  acl?: string[];
  upload?: boolean;
  csvKey?: string;
  csvTitle?: string;
}

const problemSchema = z.looseObject({
  code: z.string(),
  errors: z.array(z.looseObject({ pointer: z.string() })),
});

/** A platform on this machine can read the folder by itself. */
const isLocal = (apiUrl: string): boolean =>
  /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(new URL(apiUrl).hostname);

/** A folder's name as a source's: lower case, hyphens. */
const nameOf = (path: string): string =>
  basename(path)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63);

async function requireFolder(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw new UsageError(
      `${path} cannot be read (${String((error as NodeJS.ErrnoException).code)}).`,
    );
  });
  if (!found.isDirectory()) throw new UsageError(`${path} is not a folder.`);
}

const SCAN_TRIES = 20;
const SCAN_PAUSE_MS = 500;

/** Everything that the steps of one command need. */
interface Plan {
  session: Session;
  collection: CollectionFacts;
  path: string;
  name: string;
  kind: 'folder' | 'upload';
  options: AddFolderOptions;
}

/** The source of this name, where an earlier command has made it. @throws UsageError where it is another one */
async function findExisting(plan: Plan): Promise<SourceFacts | undefined> {
  const { session, collection, name, kind, path } = plan;
  const found = (await listSources(session, collection.id)).find((one) => one.name === name);
  if (found === undefined) return undefined;
  const place = found.config['path'];
  if (found.kind === kind && (kind === 'upload' || place === path)) return found;
  const is = typeof place === 'string' ? `reads ${place}` : `is of kind ${found.kind}`;
  const way = found.kind === 'upload' ? 'repeat with --upload, or give' : 'give';
  throw new UsageError(`Source ${name} of ${collection.name} ${is}: ${way} another --name.`);
}

/**
 * Where the platform may not read the folder: the variable that allows it, and the way that needs none. Where nobody is
 * named who may read: the option that names them.
 */
function withWayOut(plan: Plan, error: unknown): unknown {
  if (!(error instanceof RefusedError)) return error;
  const problem = problemSchema.safeParse(error.answer.body);
  if (problem.data?.code === 'ACL_REQUIRED')
    return new RefusedError(
      error.answer,
      'Repeat the command with readers: --acl group:<name>, --acl user:<id> or --acl public.',
    );
  if (plan.kind !== 'folder') return error;
  if (problem.data?.errors.some(({ pointer }) => pointer === '/config/path') !== true) return error;
  return new RefusedError(
    error.answer,
    [
      `The platform may not read ${plan.path}. Either start it with this folder among those allowed:`,
      `  ANNEAL_SOURCE_FOLDERS=${plan.path} npm start`,
      'or send the files instead: repeat this command with --upload.',
    ].join('\n'),
  );
}

async function createSource(plan: Plan): Promise<SourceFacts> {
  const { session, collection, name, kind, path, options } = plan;
  const { csvKey: keyColumn, csvTitle: titleColumn, acl } = options;
  const csv =
    keyColumn === undefined && titleColumn === undefined ? {} : { csv: { keyColumn, titleColumn } };
  const config = { ...(kind === 'folder' ? { path } : {}), ...csv };
  const body = JSON.stringify({ collectionId: collection.id, name, kind, config, acl });
  try {
    return sourceSchema.parse(await session.send({ method: 'POST', path: '/v1/sources', body }));
  } catch (error) {
    throw withWayOut(plan, error);
  }
}

/**
 * A source that exists is looked at again. A scan that runs may have passed what changed since: it is waited for, up to
 * a limit, and the next one asked for.
 */
async function scanAgain({ session }: Plan, source: SourceFacts): Promise<void> {
  const path = `/v1/sources/${source.id}:scan`;
  for (let left = SCAN_TRIES; ; left--) {
    try {
      await session.send({ method: 'POST', path });
      return;
    } catch (error) {
      if (!(error instanceof RefusedError) || !isRunning(error)) throw error;
      if (left === 0) return;
      await session.deps.pause(SCAN_PAUSE_MS);
    }
  }
}

const isRunning = ({ answer }: RefusedError): boolean =>
  z.looseObject({ code: z.literal('SCAN_RUNNING') }).safeParse(answer.body).success;

async function follow(plan: Plan, source: SourceFacts, isNew: boolean): Promise<number> {
  const { session, path, collection } = plan;
  const { io } = session.deps;
  const title = `${isNew ? 'Source' : 'Known source'} ${source.name} (${source.id})`;
  const next = `  next: anneal etl source watch ${collection.name}`;
  if (plan.kind === 'folder') {
    if (!isNew) await scanAgain(plan, source);
    const text = `${title}: the platform reads ${path} itself and follows its changes.`;
    io.out(session.output === 'json' ? renderResult(io, 'json', source) : text);
    io.err(next);
    return 0;
  }
  if (session.output === 'table')
    io.out(`${title}: the files of ${path} are sent to ${session.target.apiUrl}.`);
  const report = await uploadFolder(session, { folder: path, sourceId: source.id });
  io.out(
    session.output === 'json'
      ? renderResult(io, 'json', { source, report })
      : renderUpload(io, report, await session.asFor('etl:write')),
  );
  if (report.failed.length === 0) io.err(next);
  return report.failed.length === 0 ? 0 : 1;
}

/**
 * Makes a folder a source of a collection: read by a platform on this machine, uploaded to any other. Repeating it looks
 * again at what it made before.
 * @returns the exit code
 */
export async function addFolder(
  session: Session,
  folder: string,
  options: AddFolderOptions,
): Promise<number> {
  const path = resolve(folder);
  await requireFolder(path);
  const upload = options.upload === true || !isLocal(session.target.apiUrl);
  if (upload && (options.csvKey ?? options.csvTitle) !== undefined)
    throw new UsageError(
      [
        'A document per row of a CSV is for folders that the platform reads itself: files that are sent are one document each.',
        '  Leave --csv-key and --csv-title out, or add the folder on the machine of the platform, without --upload.',
      ].join('\n'),
    );
  const collection = await findCollection(session, options.collection);
  const name = options.name ?? nameOf(path);
  const kind = upload ? 'upload' : 'folder';
  const plan: Plan = { session, collection, path, name, kind, options };
  return repeatable(session, 'repeat the command; nothing is taken in twice.', async () => {
    const existing = await findExisting(plan);
    if (existing !== undefined && options.acl !== undefined)
      session.deps.io.err(
        `The access list of ${name} stays as it is; --acl holds for new sources.`,
      );
    const source = existing ?? (await createSource(plan));
    return follow(plan, source, existing === undefined);
  });
}
