import type { Digest } from './ids.js';

/** Where bytes are: opaque to everyone but the store. The tenant is part of it. */
export type ArtifactRef = string;

/** A stored artifact. `sha256` is over its bytes, without a tag: any tool can check it. */
export interface StoredArtifact {
  ref: ArtifactRef;
  sha256: Digest;
  sizeBytes: number;
}

/** Bytes on their way into a store. */
export interface ArtifactBody {
  tenantId: string;
  body: AsyncIterable<Uint8Array>;
  /** Counted while streaming: more than this is `PAYLOAD_TOO_LARGE`, and nothing stays behind. */
  maxBytes?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A name inside the staging area of one operation (its scope, such as a publication id). */
export interface StagedName {
  tenantId: string;
  scope: string;
  name: string;
}

const UPLOAD_SCOPE = 'upload-';

/** The staging area of what one request sends: dropped with its answer. */
export const uploadScope = (requestId: string): string => `${UPLOAD_SCOPE}${requestId}`;

/** Whether a staging area is a request's; the others belong to runs, which may take days. */
export const isUploadScope = (scope: string): boolean => scope.startsWith(UPLOAD_SCOPE);

/** An object in a staging area. */
export interface StagedArtifact {
  ref: ArtifactRef;
  name: string;
  sizeBytes: number;
}

/**
 * Port of the artifact store. Finished artifacts are addressed by content within a tenant: the same bytes give the
 * same ref, and storing them twice is storing them once. Staged objects have names and may be overwritten; they
 * belong to one operation and go with it. A write is visible whole or not at all, and survives a crash once its
 * promise resolves. Failures: `PAYLOAD_TOO_LARGE`, `ARTIFACT_CORRUPT` (missing or other bytes than the digest says),
 * `STORE_UNAVAILABLE` (retryable).
 */
export interface ArtifactStore {
  /** Stores bytes under their digest. Idempotent. */
  put(input: ArtifactBody): Promise<StoredArtifact>;
  /** Stores bytes under a name of a staging area, replacing what was there. */
  putStaged(input: ArtifactBody & StagedName): Promise<StoredArtifact>;
  /**
   * Makes a staged object a finished one without copying its bytes, and answers its ref. Idempotent.
   * @param staged.sha256 what `putStaged` answered: it is not computed again
   */
  keepStaged(staged: { tenantId: string; ref: ArtifactRef; sha256: Digest }): Promise<ArtifactRef>;
  /**
   * Reads bytes in order. With `verify` the digest of a finished artifact is checked while reading and the stream
   * fails at its end if it differs, so what was read must not be acted on before the end.
   */
  openStream(
    ref: ArtifactRef,
    options?: { verify?: boolean | undefined },
  ): AsyncIterable<Uint8Array>;
  /** Bytes `start` (inclusive) to `end` (exclusive); fewer at the end of the object. */
  readRange(ref: ArtifactRef, start: number, end: number): Promise<Uint8Array>;
  /** Path of a local file with these bytes; with `verify` the digest is checked first. */
  getPath(ref: ArtifactRef, options?: { verify?: boolean | undefined }): Promise<string>;
  /** Size, and the digest where the ref carries one; undefined where nothing is stored. */
  stat(ref: ArtifactRef): Promise<{ sizeBytes: number; sha256?: Digest | undefined } | undefined>;
  /** Removes an object; removing what is not there is no error. */
  delete(ref: ArtifactRef): Promise<void>;
  /** Staged objects of a scope, by name. */
  listStaged(tenantId: string, scope: string): Promise<StagedArtifact[]>;
  /** The object of that name, or undefined. */
  findStaged(name: StagedName): Promise<StagedArtifact | undefined>;
  /** Removes the staging area of a scope. Idempotent. */
  dropStaged(tenantId: string, scope: string): Promise<void>;
  /**
   * Removes what killed processes left: staging areas of uploads that nobody wrote to for `uploadMs`, and half-written
   * files of a day ago. Finished artifacts are never touched. Idempotent; several processes may sweep at a time.
   * @returns how many files and areas are gone
   */
  sweep(of: { nowMs: number; uploadMs: number }): Promise<number>;
}
