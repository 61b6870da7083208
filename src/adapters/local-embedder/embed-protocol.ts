/** Which embedder a thread runs; `workerData` of the thread. */
export type LocalModel =
  { id: 'hash-384' } | { id: 'lsa'; artifact: Uint8Array; digest: `sha256:${string}` };

/** One slice of texts, and the number its answer carries. */
export interface EmbedJob {
  job: number;
  texts: readonly string[];
}

/** `vectors`: `texts × dims` in one transferred array; `present[i]` is 0 where text i holds nothing to embed. */
export type EmbedAnswer =
  | { job: number; vectors: Float32Array<ArrayBuffer>; present: Uint8Array<ArrayBuffer> }
  | { job: number; error: string };
