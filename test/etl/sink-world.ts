import {
  accessFilter,
  type GenerationSpec,
  type Hit,
  type SinkCaps,
  type SinkRow,
  type VectorSink,
  type VectorStore,
} from '../../src/domain/etl/vector-sink.js';

/** A store under test and the looks into it that its port does not give. */
export interface SinkUnderTest {
  /** Another client of the same data, as another process has it. */
  open: (limits?: Partial<Pick<SinkCaps, 'maxRows' | 'maxBytes'>>) => VectorStore;
  /** Bytes on disk of everything stored. */
  diskBytes: () => Promise<number>;
  /** How many of these byte strings are in any file of the store. */
  countHeld: (needles: readonly Buffer[]) => Promise<number>;
  /** Removes everything and stops what was started. */
  stop: () => Promise<void>;
}

/** Sizes of the heavier cases. */
export interface SinkScale {
  writerRounds: number;
  filterRows: number;
  recallRows: number;
  /** 50 by default. */
  recallQueries?: number;
  churnRows: number;
}

/** What a store does not offer, by the number of the case, with the reason that is printed. */
export type NotApplicable = Readonly<Record<number, string>>;

export const tenant = 'ten_a';
export const everyone = accessFilter({ tenant, principals: ['public'] });
let generations = 0;

export const newGeneration = (more: Partial<GenerationSpec> = {}): GenerationSpec => ({
  tenant,
  generationId: `gen_${process.pid}_${(generations += 1)}`,
  embedFp: 'hash-384/1',
  dims: 384,
  ...more,
});

export async function put(
  sink: VectorSink,
  adds: readonly SinkRow[],
  more: { deleteIds?: readonly string[]; epoch?: bigint } = {},
): Promise<void> {
  const { deleteIds = [], epoch } = more;
  const size = 1_000;
  for (let at = 0; at < Math.max(1, adds.length); at += size) {
    const last = at + size >= adds.length;
    const { token } = await sink.replaceRows({
      adds: adds.slice(at, at + size),
      deleteIds: last ? deleteIds : [],
      epoch,
    });
    if (token !== undefined) await sink.awaitVisible(token, 10_000);
  }
}

export async function idsIn(sink: VectorSink): Promise<string[]> {
  const ids: string[] = [];
  for await (const { rowId } of sink.scanIds({ index: 0, of: 1 })) ids.push(rowId);
  return ids.sort();
}

export const idsOf = (rows: readonly { rowId: string }[]) => rows.map(({ rowId }) => rowId).sort();
export const hitIds = (hits: readonly Hit[]) => hits.map(({ rowId }) => rowId);
export const byId = (rows: readonly SinkRow[]) =>
  [...rows].sort((a, b) => (a.rowId < b.rowId ? -1 : 1));
/** How a store refuses for good. */
export const refused = { name: 'PlatformError', code: 'SINK_REFUSED' } as const;
export const fenced = { name: 'PlatformError', code: 'SINK_FENCED' } as const;

export interface Context {
  check: (number: number, promise: string, work: () => Promise<void>) => void;
  fresh: (
    more?: Partial<GenerationSpec>,
  ) => Promise<{ generation: GenerationSpec; sink: VectorSink }>;
  caps: SinkCaps;
  scale: SinkScale;
  under: () => SinkUnderTest;
  store: () => VectorStore;
}
