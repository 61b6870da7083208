import type { ArtifactRef, ArtifactStore } from '../../domain/artifacts.js';
import type { RejectedRow, StoredRow } from '../../domain/datasets/staging.js';
import { gunzipLines, parseRow } from './row-lines.js';

/**
 * Rows of one snapshot part in their stored order, which is canonical: ascending by row digest over all parts. The
 * digest of the part is checked while reading; `ARTIFACT_CORRUPT` comes at its end.
 */
async function* readPart(store: ArtifactStore, ref: ArtifactRef): AsyncGenerator<StoredRow[]> {
  for await (const lines of gunzipLines(store.openStream(ref, { verify: true })))
    yield lines.map(parseRow);
}

/** All rows of a snapshot, part after part, in canonical order. */
export async function* readParts(
  store: ArtifactStore,
  parts: readonly { ref: ArtifactRef }[],
): AsyncGenerator<StoredRow[]> {
  for (const { ref } of parts) yield* readPart(store, ref);
}

/** Rejected rows of one quarantine part, in file order. */
export async function* readQuarantine(
  store: ArtifactStore,
  ref: ArtifactRef,
): AsyncGenerator<RejectedRow[]> {
  for await (const lines of gunzipLines(store.openStream(ref, { verify: true })))
    yield lines.map((line) => JSON.parse(line) as RejectedRow);
}
