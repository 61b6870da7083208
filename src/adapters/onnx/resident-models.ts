import type { Digest } from '../../domain/ids.js';
import type { RuntimeVersion } from '../../domain/inference/runtime.js';
import type { ArtifactInfo } from './describe-artifact.js';

/** A model that the slots hold in memory. */
export interface ResidentModel {
  version: RuntimeVersion;
  path: string;
  info: ArtifactInfo;
  sizeBytes: number;
  loadMs: number;
}

/** Which models are in memory, by least recent use; sizes are those of the files. */
export interface ResidentModels {
  get(digest: Digest): ResidentModel | undefined;
  /** Marks a model as used now. */
  touch(digest: Digest): void;
  add(model: ResidentModel): void;
  remove(digest: Digest): void;
  /** Replaces the set of models that are never evicted. */
  pin(digests: Iterable<Digest>): void;
  isPinned(digest: Digest): boolean;
  /**
   * Digests to evict, least recently used first, so that `sizeBytes` more fit; undefined where even evicting all that
   * is not pinned does not make room.
   */
  victimsFor(sizeBytes: number): Digest[] | undefined;
  list(): ResidentModel[];
}

/** An empty memory of `maxBytes`. */
export function createResidentModels(maxBytes: number): ResidentModels {
  // A Map keeps insertion order: the first entry is the least recently used.
  const models = new Map<Digest, ResidentModel>();
  let pinned = new Set<Digest>();
  return {
    get: (digest) => models.get(digest),
    touch(digest) {
      const model = models.get(digest);
      if (model === undefined) return;
      models.delete(digest);
      models.set(digest, model);
    },
    add(model) {
      models.set(model.version.digest, model);
    },
    remove(digest) {
      models.delete(digest);
    },
    pin(digests) {
      pinned = new Set(digests);
    },
    isPinned: (digest) => pinned.has(digest),
    victimsFor(sizeBytes) {
      let free = maxBytes - sizeBytes;
      for (const model of models.values()) free -= model.sizeBytes;
      const victims: Digest[] = [];
      for (const [digest, model] of models) {
        if (free >= 0) break;
        if (pinned.has(digest)) continue;
        victims.push(digest);
        free += model.sizeBytes;
      }
      return free >= 0 ? victims : undefined;
    },
    list: () => [...models.values()],
  };
}
