import type { ArtifactRef, ArtifactStore, StagedName } from '../../domain/artifacts.js';

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** A JSON value as the body of an artifact. */
export const jsonBody = (json: string): AsyncIterable<Uint8Array> => once(Buffer.from(json));

/**
 * A stored JSON artifact, such as a profile; its digest is checked before anything is answered (`ARTIFACT_CORRUPT`).
 * The type is the caller's word: only what this platform wrote itself is read this way.
 */
export async function readJsonArtifact<T>(store: ArtifactStore, ref: ArtifactRef): Promise<T> {
  return JSON.parse(await readText(store.openStream(ref, { verify: true }))) as T;
}

async function readText(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** State of a stage, kept with the key of the input it belongs to. */
export interface StagedState<T> {
  key: string;
  value: T;
}

/** The state under a name, or undefined if there is none or it belongs to another input. */
export async function readState<T>(
  store: ArtifactStore,
  name: StagedName,
  key: string,
): Promise<T | undefined> {
  const found = await store.findStaged(name);
  if (!found) return undefined;
  const state = JSON.parse(await readText(store.openStream(found.ref))) as StagedState<T>;
  return state.key === key ? state.value : undefined;
}

/** Replaces the state under a name, in one step. */
export async function writeState<T>(
  store: ArtifactStore,
  name: StagedName,
  state: StagedState<T>,
): Promise<void> {
  await store.putStaged({ ...name, body: jsonBody(JSON.stringify(state)) });
}
