import type { Digest } from '../../domain/ids.js';
import type { ArtifactInfo } from './describe-artifact.js';

/** First message of a child: how it finds its runtime package. */
export interface ChildStart {
  data: { runtimePackage: string };
}

/** One column per input of the model, each with a value per row. */
export type ChildColumn =
  string[] | Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;

export type ChildRequest =
  | { id: number; kind: 'load'; digest: Digest; path: string }
  | { id: number; kind: 'run'; digest: Digest; rowCount: number; columns: ChildColumn[] }
  | { id: number; kind: 'unload'; digest: Digest };

/** Requests without the number that pairs them with their reply. */
export type ChildTask = ChildRequest extends infer R
  ? R extends { id: number }
    ? Omit<R, 'id'>
    : never
  : never;

/** Why a request failed inside a child that goes on living. */
export type ChildRefusal = 'corrupt' | 'missing' | 'unloadable' | 'not_loaded' | 'run_failed';

export type ChildReply =
  | { id: number; kind: 'loaded'; info: ArtifactInfo; sizeBytes: number }
  | { id: number; kind: 'ran'; probabilities: Float32Array; runMs: number }
  | { id: number; kind: 'unloaded' }
  | { id: number; kind: 'refused'; refusal: ChildRefusal; message: string };

/** What a child says of its own accord: that it can work, or that this installation has no runtime. */
export type ChildNotice = { kind: 'ready' } | { kind: 'unavailable'; message: string };
