import { digestOf } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import type { SourceFacts } from '../../domain/etl/ledger.js';
import type { RowDocument, RowMode, SplitRows, SplitTable } from '../../domain/etl/rows.js';
import type { ListedDocument, PullSource } from '../../domain/etl/scan.js';

/** Rows of one file that are listed; a table above that belongs into a database, not into a folder. */
const MAX_ROWS = 20_000;
/** How long a file is not split again. */
const FRESH_MS = 2_000;
const MAX_KEPT = 8;
/** `prices/list.csv#A-17`: a row, or `#line 12` where the row has no key. */
const ROW_KEY = /^(.*?\.csv)#(.*)$/is;

const isTable = (naturalKey: string): boolean => /\.csv$/i.test(naturalKey);

function rowModeOf({ config }: SourceFacts): RowMode | undefined {
  const { csv } = config as { csv?: { keyColumn?: string; titleColumn?: string } };
  return csv?.keyColumn === undefined
    ? undefined
    : { keyColumn: csv.keyColumn, titleColumn: csv.titleColumn };
}

const refused = (reason: string, evidence: object): PlatformError =>
  new PlatformError('DOCUMENT_REFUSED', 'The row cannot be read.', {
    extensions: { reason, evidence },
  });

const tokenOf = ({ title, text }: RowDocument): string =>
  digestOf('anneal.etl.row.v1', { title, text });

const lineKey = (path: string, line: number): string => `${path}#line ${line}`;

function entriesOf(path: string, { rows, refused: bad }: SplitRows): ListedDocument[] {
  return [
    ...rows.map((row) => ({
      naturalKey: `${path}#${row.key}`,
      token: tokenOf(row),
      bytes: Buffer.byteLength(row.text),
    })),
    // They are listed, so that reading them says in quarantine which line is wrong and how.
    ...bad.map(({ line, detail }) => ({ naturalKey: lineKey(path, line), token: detail })),
  ];
}

type Split = Promise<SplitRows | undefined>;

/** The last few files that were split, for a moment: a batch reads many rows of one. */
function createKept() {
  const kept = new Map<string, { untilMs: number; split: Split }>();
  return {
    fresh: (key: string): Split | undefined => {
      const found = kept.get(key);
      return found !== undefined && found.untilMs > performance.now() ? found.split : undefined;
    },
    keep: (key: string, split: Split): Split => {
      kept.delete(key);
      kept.set(key, { untilMs: performance.now() + FRESH_MS, split });
      split.catch(() => kept.delete(key));
      for (const [oldest] of kept) if (kept.size > MAX_KEPT) kept.delete(oldest);
      return split;
    },
  };
}

const keptKey = (source: SourceFacts, path: string): string => `${source.sourceId}/${path}`;

/**
 * A pull source whose CSV files are a document per row where the source names a key column: one edited row is one changed
 * document. Row keys follow the file's: `list.csv#A-17`.
 */
export function withRows(inner: PullSource, splitTable: SplitTable): PullSource {
  const kept = createKept();

  const splitFile = async (
    source: SourceFacts,
    path: string,
    { mode, signal }: { mode: RowMode; signal: AbortSignal },
  ): Promise<SplitRows | undefined> => {
    const read = await inner.read(source, path, signal);
    if (read === undefined) return undefined;
    const split = await splitTable(read.bytes, mode, signal);
    const count = split.rows.length + split.refused.length;
    if (count > MAX_ROWS) throw refused('parse_limit', { limit: 'rows', value: count });
    return split;
  };

  const listFile = async (
    source: SourceFacts,
    entry: ListedDocument,
    how: { mode: RowMode; signal: AbortSignal },
  ): Promise<ListedDocument[]> => {
    try {
      const split = splitFile(source, entry.naturalKey, how);
      const found = await kept.keep(keptKey(source, entry.naturalKey), split);
      return found === undefined ? [] : entriesOf(entry.naturalKey, found);
    } catch (error) {
      // The file stays one document, whose reading says why it has no rows.
      if (error instanceof PlatformError && error.code === 'DOCUMENT_REFUSED') return [entry];
      throw error;
    }
  };

  return {
    list: async (source, page) => {
      const listed = await inner.list(source, page);
      const mode = rowModeOf(source);
      if (mode === undefined) return listed;
      const entries: ListedDocument[] = [];
      for (const entry of listed.entries)
        entries.push(
          ...(isTable(entry.naturalKey)
            ? await listFile(source, entry, { mode, signal: page.signal })
            : [entry]),
        );
      return { ...listed, entries };
    },
    read: async (source, naturalKey, signal) => {
      const mode = rowModeOf(source);
      const [, path, key] = ROW_KEY.exec(naturalKey) ?? [];
      if (mode === undefined || (path === undefined && !isTable(naturalKey)))
        return inner.read(source, naturalKey, signal);
      const file = path ?? naturalKey;
      const of = keptKey(source, file);
      const found = await (kept.fresh(of) ??
        kept.keep(of, splitFile(source, file, { mode, signal })));
      if (found === undefined) return undefined;
      const wrong = found.refused.find(({ line }) => lineKey(file, line) === naturalKey);
      if (wrong !== undefined)
        throw refused('parse_failed', { detail: wrong.detail, line: wrong.line });
      const row = found.rows.find((each) => each.key === key);
      if (row === undefined) return undefined;
      return {
        name: row.title,
        token: tokenOf(row),
        bytes: Buffer.from(row.text, 'utf8'),
        mediaType: 'text/plain',
      };
    },
  };
}
