import { renderResult } from '../render-result.js';
import { collectionSchema } from './find-collection.js';
import { repeatable, type Session } from './open-session.js';

/** What `etl collection create` was given. */
export interface CreateCollectionOptions {
  embedder?: string;
  sink?: string;
  acl?: string[];
  purpose: string[];
  key?: string;
}

/** Creates a collection and says what it is and what comes next. @returns the exit code */
export async function createCollection(
  session: Session,
  name: string,
  options: CreateCollectionOptions,
): Promise<number> {
  const { embedder, sink, acl, purpose: purposes } = options;
  const body = JSON.stringify({ name, embedder, sink, aclDefault: acl, purposes });
  const key = options.key ?? session.deps.newKey();
  const made = await repeatable(session, `repeat the command with --key ${key}.`, () =>
    session.send({ method: 'POST', path: '/v1/collections', body, key }),
  );
  const { io } = session.deps;
  if (session.output === 'json') {
    io.out(renderResult(io, 'json', made));
    return 0;
  }
  const collection = collectionSchema.parse(made);
  const live = collection.generations.find(({ id }) => id === collection.liveGenerationId);
  const readers = collection.aclDefault.join(', ');
  io.out(
    [
      `Collection ${collection.name} (${collection.id})`,
      `  embedder  ${live?.embedder ?? 'none'}, stored in ${live?.sink ?? 'none'}`,
      `  purposes  ${collection.purposes.join(', ')}`,
      `  readers   ${readers === '' ? 'none by default: every source needs --acl' : readers}`,
    ].join('\n'),
  );
  const needed = readers === '' ? ' --acl group:<name>' : '';
  io.err(`  next: anneal etl source add folder <path> --collection ${collection.name}${needed}`);
  return 0;
}
