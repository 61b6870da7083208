import type { PreparedRevision } from '../../domain/etl/ledger.js';

/** Characters of all texts that are kept: about two batches. */
const MAX_CHARACTERS = 16 * 1024 * 1024;

/** What writing needs of a revision. */
export interface RevisionContent {
  title: string;
  metadata: Record<string, unknown>;
  /** Embedded text of each chunk, in chunk order. */
  embedTexts: readonly string[];
}

interface RevisionKey {
  tenant: string;
  docId: string;
  rev: number;
}

/**
 * Revisions that this process has just recorded, so that the second step of their batch need not read and open what the
 * first one sealed. Bounded; the oldest go first, and whoever finds nothing reads the ledger.
 */
export interface FreshRevisions {
  keep: (key: RevisionKey, revision: PreparedRevision) => void;
  /** Hands it out once. */
  take: (key: RevisionKey) => RevisionContent | undefined;
}

const nameOf = ({ tenant, docId, rev }: RevisionKey): string => `${tenant}/${docId}/${rev}`;

/** An empty one. */
export function createFreshRevisions(): FreshRevisions {
  const kept = new Map<string, { content: RevisionContent; characters: number }>();
  let characters = 0;
  const drop = (name: string) => {
    characters -= kept.get(name)?.characters ?? 0;
    kept.delete(name);
  };
  return {
    keep: (key, { title, metadata, chunks }) => {
      const name = nameOf(key);
      drop(name);
      const embedTexts = chunks.map(({ embedText }) => embedText);
      const size = embedTexts.reduce((sum, { length }) => sum + length, 0);
      kept.set(name, { content: { title, metadata, embedTexts }, characters: size });
      characters += size;
      for (const [oldest] of kept) {
        if (characters <= MAX_CHARACTERS) break;
        drop(oldest);
      }
    },
    take: (key) => {
      const name = nameOf(key);
      const found = kept.get(name);
      drop(name);
      return found?.content;
    },
  };
}
