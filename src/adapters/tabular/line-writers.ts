import type { ArtifactStore } from '../../domain/artifacts.js';
import type { RejectedRow, StageResult, StoredPart } from '../../domain/datasets/staging.js';
import { gzipLines } from './row-lines.js';

/** Bounds of what is held in memory before it is written. */
export interface WriterLimits {
  maxRows: number;
  /** UTF-16 units, about bytes for most data. */
  maxChars: number;
}

export const RUN_LIMITS: WriterLimits = { maxRows: 200_000, maxChars: 64 * 1024 * 1024 };
const QUARANTINE_LIMITS: WriterLimits = { maxRows: 20_000, maxChars: 16 * 1024 * 1024 };

/** Collects lines and hands them over whenever a limit is reached, and once more at the end. */
export function createLineBuffer(
  limits: WriterLimits,
  write: (lines: string[], index: number) => Promise<void>,
) {
  let lines: string[] = [];
  let chars = 0;
  let index = 0;
  const flush = async (): Promise<void> => {
    if (lines.length === 0) return;
    const full = lines;
    lines = [];
    chars = 0;
    await write(full, index++);
  };
  return {
    async add(line: string): Promise<void> {
      lines.push(line);
      chars += line.length;
      if (lines.length >= limits.maxRows || chars >= limits.maxChars) await flush();
    },
    flush,
  };
}

interface Place {
  store: ArtifactStore;
  tenantId: string;
  scope: string;
  signal?: AbortSignal | undefined;
}

/** Writes sorted runs into the staging area; a run has the same name and bytes whenever its stage is repeated. */
export function createRunWriter(place: Place, limits: WriterLimits) {
  const runs: StageResult['runs'] = [];
  const { store, tenantId, scope, signal } = place;
  const buffer = createLineBuffer(limits, async (lines, index) => {
    const name = `run-${String(index).padStart(5, '0')}.jsonl.gz`;
    const body = gzipLines(lines.sort());
    const { ref } = await store.putStaged({ tenantId, scope, name, body, signal });
    runs.push({ ref, rows: lines.length });
  });
  return { ...buffer, runs };
}

/** Writes rejected rows as artifacts of their own: they outlive the staging area. */
export function createQuarantineWriter({ store, tenantId, signal }: Place) {
  const parts: StoredPart[] = [];
  const buffer = createLineBuffer(QUARANTINE_LIMITS, async (lines) => {
    const { ref, sha256 } = await store.put({ tenantId, body: gzipLines(lines), signal });
    parts.push({ ref, sha256, rows: lines.length });
  });
  return {
    add: (row: RejectedRow) => buffer.add(JSON.stringify(row)),
    flush: () => buffer.flush(),
    parts,
  };
}
