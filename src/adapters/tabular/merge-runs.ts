import type { ArtifactStore } from '../../domain/artifacts.js';
import { createProfiler } from '../../domain/datasets/profile.js';
import { hiddenFields } from '../../domain/datasets/redact-row.js';
import { createSnapshotHasher } from '../../domain/datasets/snapshot-id.js';
import type {
  MergeInput,
  MergeResult,
  StageDeps,
  StoredPart,
} from '../../domain/datasets/staging.js';
import { canonicalJson, digestOf } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import { BATCH_ROWS } from './table-reader.js';
import { createLineBuffer } from './line-writers.js';
import { digestOfLine, gunzipLines, gzipLines, parseRow } from './row-lines.js';
import { jsonBody, readState, writeState } from './staged-state.js';

const PART_ROWS = 50_000;
const PART_CHARS = 32 * 1024 * 1024;

/** The next unread line of one sorted run. */
interface RunCursor {
  line: string;
  lines: string[];
  at: number;
  source: AsyncGenerator<string[]>;
}

async function openRun(store: ArtifactStore, ref: string): Promise<RunCursor | undefined> {
  const source = gunzipLines(store.openStream(ref));
  const first = await source.next();
  const [line] = first.done === true ? [] : first.value;
  return line === undefined || first.done === true
    ? undefined
    : { line, lines: first.value, at: 0, source };
}

/** Moves to the next line; false at the end of the run. */
async function advance(cursor: RunCursor): Promise<boolean> {
  let next = cursor.lines[++cursor.at];
  if (next === undefined) {
    const more = await cursor.source.next();
    if (more.done === true) return false;
    cursor.lines = more.value;
    cursor.at = 0;
    next = more.value[0];
  }
  if (next === undefined) return false;
  cursor.line = next;
  return true;
}

/** All lines of sorted runs in ascending order, some at a time. Memory is one read buffer per run. */
async function* mergeLines(
  store: ArtifactStore,
  runs: readonly { ref: string }[],
): AsyncGenerator<string[]> {
  let cursors = (await Promise.all(runs.map(({ ref }) => openRun(store, ref)))).filter(
    (cursor) => cursor !== undefined,
  );
  let lines: string[] = [];
  try {
    while (cursors.length > 0) {
      const least = cursors.reduce((a, b) => (b.line < a.line ? b : a));
      lines.push(least.line);
      const isOpen = await advance(least);
      if (!isOpen) cursors = cursors.filter((cursor) => cursor !== least);
      if (lines.length < BATCH_ROWS) continue;
      yield lines;
      lines = [];
    }
    if (lines.length > 0) yield lines;
  } finally {
    await Promise.all(cursors.map(({ source }) => source.return(undefined)));
  }
}

/** Writes parts, one after the other, and notes each in the staging area before the next begins. */
async function createPartWriter(store: ArtifactStore, input: MergeInput, signal?: AbortSignal) {
  const { tenantId, scope, runs, contract, pii } = input;
  const maxRows = input.partRows ?? PART_ROWS;
  const state = { tenantId, scope, name: 'parts.json' };
  const key = digestOf('anneal.dataset.parts', { runs, maxRows, contract, pii: pii ?? null });
  const known = (await readState<StoredPart[]>(store, state, key)) ?? [];
  const parts: StoredPart[] = [];
  const limits = { maxRows, maxChars: PART_CHARS };
  const buffer = createLineBuffer(limits, async (lines, index) => {
    const before = known[index];
    if (before?.rows === lines.length && (await store.stat(before.ref))) {
      parts.push(before);
      return;
    }
    const { ref, sha256 } = await store.put({ tenantId, body: gzipLines(lines), signal });
    parts.push({ ref, sha256, rows: lines.length });
    await writeState(store, state, { key, value: parts });
  });
  return { ...buffer, parts };
}

/**
 * Second stage of a publication: merges the sorted runs into parts in canonical order (ascending row digest, then
 * line), and in the same pass makes snapshot id, profile and reference bins, the latter two stored as canonical JSON.
 * Memory is bounded by one part. Idempotent: parts already written are not written again, and the result of a repeat
 * is equal byte for byte. The staging area stays; drop it once the manifest is committed.
 * Throws `DATASET_EMPTY` if no row is valid, and the codes of the store.
 */
export async function mergeRuns(
  store: ArtifactStore,
  input: MergeInput,
  deps: Pick<StageDeps, 'heartbeat' | 'signal'>,
): Promise<MergeResult> {
  const { tenantId, contract, purposes, legalBasis } = input;
  const parts = await createPartWriter(store, input, deps.signal);
  const hasher = createSnapshotHasher();
  const profiler = createProfiler(contract.fields, hiddenFields(contract, input.pii));
  let rows = 0;
  for await (const lines of mergeLines(store, input.runs)) {
    deps.signal?.throwIfAborted();
    for (const line of lines) {
      hasher.add(digestOfLine(line));
      profiler.add(parseRow(line).values);
      await parts.add(line);
    }
    rows += lines.length;
    deps.heartbeat?.({ stage: 'merging', rows, parts: parts.parts.length });
  }
  await parts.flush();
  const expected = input.runs.reduce((total, run) => total + run.rows, 0);
  if (rows !== expected)
    throw new PlatformError('ARTIFACT_CORRUPT', 'The staged rows are incomplete.', {
      internal: `${rows} of ${expected} rows`,
    });
  if (rows === 0) throw new PlatformError('DATASET_EMPTY', 'The file has no valid row.');
  const { snapshotId } = hasher.finish({ contract, purposes, legalBasis });
  const { profile, bins } = profiler.finish();
  const putJson = (value: unknown) => store.put({ tenantId, body: jsonBody(canonicalJson(value)) });
  const storedProfile = await putJson(profile);
  const storedBins = await putJson(bins);
  return {
    snapshotId,
    rows,
    parts: parts.parts,
    profileRef: storedProfile.ref,
    profileSha256: storedProfile.sha256,
    binsRef: storedBins.ref,
    binsSha256: storedBins.sha256,
  };
}
