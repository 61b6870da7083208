import type { ArtifactStore } from '../../domain/artifacts.js';
import { PlatformError } from '../../domain/errors.js';

/**
 * Reads an artifact to its end: true where its bytes have this digest, false where they differ or are gone.
 * @throws STORE_UNAVAILABLE
 */
export const createArtifactMatches =
  (artifacts: Pick<ArtifactStore, 'stat' | 'openStream'>) =>
  async (ref: string, digest: string): Promise<boolean> => {
    try {
      const found = await artifacts.stat(ref);
      if (found?.sha256 !== digest) return false;
      // The bytes are hashed while they are read; the stream fails at its end where they differ.
      for await (const chunk of artifacts.openStream(ref, { verify: true })) void chunk;
      return true;
    } catch (error) {
      if (error instanceof PlatformError && error.code === 'ARTIFACT_CORRUPT') return false;
      throw error;
    }
  };
