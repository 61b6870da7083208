import { Option, type Command } from 'commander';
import type { CliDeps } from '../cli-deps.js';
import type { GlobalOptions } from '../output-of.js';
import { outputOf } from '../output-of.js';
import { hintKeys, RefusedError, showRefusal } from '../refused-error.js';
import { DEFAULT_WAIT_S, waitMsOf } from '../wait-ms-of.js';
import { addFolder, type AddFolderOptions } from './add-folder.js';
import { createCollection, type CreateCollectionOptions } from './create-collection.js';
import { openSession, type Session } from './open-session.js';
import { reembedCollection } from './reembed-collection.js';
import { searchCollection, type SearchOptions } from './search-collection.js';
import { watchCollection } from './watch-collection.js';

type Given = GlobalOptions & { json?: boolean };
/** What `etl collection reembed` is given. */
interface Reembedding {
  embedder: string;
  sink?: string;
  evalSet?: string;
  wait?: string | true;
  key?: string;
}
type Run = (work: () => Promise<number>) => Promise<void>;

/** A command as its file describes it: `work` gets a session for `permission`. */
interface Described<O> {
  permission: string;
  summary: string;
  description: string;
  example: string;
  work: (session: Session, args: readonly string[], options: O) => Promise<number>;
}

function describe<O>(
  command: Command,
  { deps, run }: { deps: CliDeps; run: Run },
  described: Described<O>,
): void {
  const { permission, summary, description, example, work } = described;
  command
    .summary(summary)
    .description(`${summary}. ${description}`)
    .option('--json', 'the answer as JSON; the same as --output json')
    .addHelpText('after', `\nExample:\n  $ anneal ${example}`);
  command.action(() => {
    const given = command.optsWithGlobals<Given & O>();
    return run(async () => {
      try {
        const session = await openSession(deps, given, permission);
        return await work(session, command.processedArgs.flat() as string[], given);
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error;
        const code = showRefusal(deps, outputOf(deps, given), error.answer);
        if (error.hint !== undefined) deps.io.err(error.hint);
        await hintKeys(deps, outputOf(deps, given), error.answer);
        return code;
      }
    });
  });
}

function addCollectionCommands(etl: Command, context: { deps: CliDeps; run: Run }): void {
  const collection = etl.command('collection').summary('create, reembed');
  const create = collection
    .command('create')
    .argument('<name>', 'lower-case letters, digits, hyphens')
    .usage('<name> --purpose <purpose> [options]')
    .option('--embedder <name>', 'embedder; hash-384 unless named')
    .option('--sink <name>', 'vector store; lancedb unless named')
    .option('--acl <reader...>', 'default readers: public, user:<id>, group:<name>')
    .requiredOption('--purpose <purpose...>', 'what answers may be used for')
    .option('--key <key>', 'idempotency key; a random one where none is given');
  describe<CreateCollectionOptions>(create, context, {
    permission: 'etl:admin',
    summary: 'Create a collection',
    description: 'It answers from the start and is filled by its sources.',
    example:
      'etl collection create handbook --embedder hash-384 --acl group:staff --purpose support',
    work: (session, [name = ''], options) => createCollection(session, name, options),
  });
  const reembed = collection
    .command('reembed')
    .argument('<collection>', 'name or id')
    .usage('<collection> --embedder <name> [options]')
    .requiredOption('--embedder <name>', 'the embedder to change to')
    .option('--sink <name>', 'the vector store to change to; the present one unless named')
    .option('--eval-set <id>', 'judged questions that the new generation has to pass')
    .option('--wait [seconds]', `follows it until it is live (${DEFAULT_WAIT_S} s unless named)`)
    .option('--key <key>', 'idempotency key; a random one where none is given');
  describe<Reembedding>(reembed, context, {
    permission: 'etl:admin',
    summary: 'Embed a collection anew',
    description:
      'The present generation answers until the new one holds everything, and with --eval-set has passed its gate; ' +
      'without, nobody judges the answers of the new one.',
    example: 'etl collection reembed handbook --embedder lsa',
    work: (session, [name = ''], { embedder, sink, evalSet: evalSetId, wait, key }) =>
      reembedCollection(session, name, {
        ...{ embedder, sink, evalSetId },
        waitMs: wait === undefined ? undefined : waitMsOf(wait),
        key,
      }),
  });
}

function addSourceCommands(etl: Command, context: { deps: CliDeps; run: Run }): void {
  const source = etl.command('source').summary('add, watch');
  const folder = source
    .command('add')
    .summary('folder')
    .command('folder', { isDefault: true })
    .argument('<path>', 'a folder of documents')
    .usage('<path> --collection <name> [options]')
    .requiredOption('--collection <name>', 'name or id of the collection')
    .option('--name <name>', "name of the source; the folder's unless given")
    .option('--acl <reader...>', "readers; the collection's unless given")
    .option('--upload', 'sends the files, also to a platform on this machine')
    .option('--csv-key <column>', 'CSV: a document per row, named by this column')
    .option('--csv-title <column>', 'CSV: the title of a row');
  describe<AddFolderOptions>(folder, context, {
    permission: 'etl:write',
    summary: 'Make a folder a source',
    description:
      'A platform on this machine reads the folder itself and follows its changes, if ANNEAL_SOURCE_FOLDERS allows it. ' +
      'To any other every file is uploaded; repeat the command to send what changed. An upload deletes nothing: it ' +
      'names what is gone.',
    example: 'etl source add folder ./docs --collection handbook',
    work: (session, [path = ''], options) => addFolder(session, path, options),
  });
  const watch = source
    .command('watch')
    .argument('<collection>', 'name or id')
    .usage('<collection> [options]')
    .option('--once', 'one look instead of following');
  describe<{ once?: boolean }>(watch, context, {
    permission: 'etl:read',
    summary: 'Show how each file came out',
    description:
      'New, changed, unchanged, deleted, quarantined (why): since the last scan that found something. Follows until ' +
      'nothing is pending.',
    example: 'etl source watch handbook',
    work: (session, [name = ''], { once = false }) => watchCollection(session, name, { once }),
  });
}

function addSearch(program: Command, context: { deps: CliDeps; run: Run }): void {
  const search = program
    .command('search')
    .argument('<collection>', 'name or id')
    .argument('<text...>', 'the question')
    .usage('<collection> "<text>" --purpose <purpose> [options]')
    .requiredOption('--purpose <purpose>', 'what the answer is used for')
    .option('--cite', 'shows and verifies the citation of each hit')
    .option('-k <count>', 'hits at most', '5')
    .addOption(
      new Option('--mode <mode>', 'by words, by vectors, or both (hybrid)').choices([
        'hybrid',
        'lexical',
        'dense',
      ]),
    )
    .addOption(
      new Option('--expand <what>', 'prints the section around each hit').choices(['section']),
    )
    .option('--filter <field=value...>', 'metadata that every hit has');
  describe<SearchOptions>(search, context, {
    permission: 'retrieval:query',
    summary: 'Search a collection',
    description: 'Finds what you may read for the purpose.',
    example: 'search handbook "how do I rotate a key?" --purpose support --cite',
    work: (session, [collection = '', ...text], options) =>
      searchCollection(session, { collection, text: text.join(' ') }, options),
  });
}

/** The commands about documents that take several calls each: `etl …` and `search`. */
export function addKnowledgeCommands(program: Command, deps: CliDeps, run: Run): void {
  const etl = program.command('etl').summary('collection, source');
  addCollectionCommands(etl, { deps, run });
  addSourceCommands(etl, { deps, run });
  addSearch(program, { deps, run });
}
