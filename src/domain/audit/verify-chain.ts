import { equalSecrets, sha256 } from '../digest.js';
import {
  genesisHash,
  linkHash,
  SEAL_ACTION,
  sealOf,
  type AuditLeaf,
  type ChainHead,
  type ChainRow,
  type Checkpoint,
  type SealFacts,
} from './chain.js';

/** How a chain was tampered with. */
type FaultKind = 'edit' | 'delete' | 'reorder' | 'truncate' | 'fork';

/** The first place where a chain contradicts itself or what was witnessed of it. */
interface ChainFault {
  /** The first bad sequence; for a fork the first one that is proved to differ. */
  seq: number;
  kind: FaultKind;
  detail: string;
}

/** What verification found. */
export interface ChainVerdict {
  status: 'intact' | 'broken';
  /** Entries that were read and proved. */
  verified: number;
  /** Leaves that were read and proved. */
  leaves: number;
  /** Checkpoints that agree with the chain. */
  checkpoints: number;
  /** The largest size that a checkpoint outside the database vouches for. */
  witnessedTo: number;
  fault?: ChainFault;
}

/** Rows in order of sequence, and the leaves sealed by those rows, grouped by the sequence that sealed them. */
export interface ChainPage {
  rows: readonly ChainRow[];
  leaves: ReadonlyMap<number, readonly AuditLeaf[]>;
}

/** Verifies a chain page by page. */
export interface ChainVerifier {
  /** Takes the next rows. False where no further rows can change the verdict. */
  add(page: ChainPage): boolean;
  finish(): ChainVerdict;
}

/** How far a row may have moved forward for a deletion with renumbering to be recognised as one. */
const MAX_SHIFT = 2_000;

/** The row's own numbers agree with each other when it stands at `seq`. */
const standsAt = (row: ChainRow, seq: number): boolean =>
  equalSecrets(sha256(row.entry), row.entryHash) &&
  equalSecrets(linkHash(row.prevHash, { ...row, seq }), row.hash);

function sealFactsOf(entry: string): SealFacts | undefined {
  if (!entry.includes(SEAL_ACTION)) return undefined;
  try {
    const parsed = JSON.parse(entry) as { action?: unknown; after?: Partial<SealFacts> };
    if (parsed.action !== SEAL_ACTION) return undefined;
    return { root: String(parsed.after?.root), count: Number(parsed.after?.count) };
  } catch {
    return undefined;
  }
}

/** What a sealing entry says against the leaves that are there. */
function leafFault(row: ChainRow, leaves: readonly AuditLeaf[]): ChainFault | undefined {
  const stated = sealFactsOf(row.entry);
  if (stated === undefined) {
    return leaves.length === 0
      ? undefined
      : { seq: row.seq, kind: 'edit', detail: 'leaves point at an entry that seals none' };
  }
  const found = sealOf(leaves);
  if (found.count < stated.count) {
    const missing = stated.count - found.count;
    return {
      seq: row.seq,
      kind: 'delete',
      detail: `${missing} of ${stated.count} leaves are gone`,
    };
  }
  if (found.root === stated.root && found.count === stated.count) return undefined;
  return { seq: row.seq, kind: 'edit', detail: 'the sealed leaves differ from their Merkle root' };
}

/** How a row that does not follow its predecessor came to stand there, its true successor being nowhere. */
function kindOfMisfit(row: ChainRow, expected: number): { kind: FaultKind; detail: string } {
  const edited = {
    kind: 'edit' as const,
    detail: 'the entry does not have the hash that was chained',
  };
  if (!equalSecrets(sha256(row.entry), row.entryHash)) return edited;
  const linksAt = (seq: number) => equalSecrets(linkHash(row.prevHash, { ...row, seq }), row.hash);
  for (let shift = 1; shift <= MAX_SHIFT; shift++) {
    if (linksAt(expected + shift)) {
      return {
        kind: 'delete',
        detail: `entry ${expected + shift} was moved here over deleted ones`,
      };
    }
    if (shift < expected && linksAt(expected - shift)) {
      return { kind: 'reorder', detail: `entry ${expected - shift} stands here` };
    }
  }
  return edited;
}

/** Checkpoints of one tenant by size, the smallest first; two of one size must agree. */
function checkpointsBySize(tenant: string, checkpoints: readonly Checkpoint[]): Checkpoint[] {
  return checkpoints
    .filter((checkpoint) => checkpoint.tenant === tenant)
    .sort((a, b) => a.size - b.size);
}

interface State {
  tenant: string;
  head: ChainHead | undefined;
  witnesses: Checkpoint[];
  nextWitness: number;
  /** The hash that the next row must name as its predecessor. */
  expectedPrev: Uint8Array;
  expectedSeq: number;
  verdict: ChainVerdict;
  /** A row that does not fit: the rest of the chain is searched for the entry that belongs there. */
  misfit?: ChainRow | 'missing';
  /** A checkpoint that disagrees with a row which fits: an edit if the next row disagrees too, else a fork. */
  disputed?: ChainFault;
}

/** The first fault decides. */
function settle(state: State, fault: ChainFault): void {
  state.verdict = { ...state.verdict, status: 'broken', fault };
}

/** Compares a proved row with the checkpoints of its size. */
function witness(state: State, row: ChainRow): void {
  for (;;) {
    const checkpoint = state.witnesses[state.nextWitness];
    if (checkpoint === undefined || checkpoint.size > row.seq) return;
    state.nextWitness++;
    if (checkpoint.size < row.seq) continue;
    if (Buffer.from(row.hash).toString('hex') !== checkpoint.headHash) {
      const since = state.verdict.witnessedTo;
      const detail = `the chain differs from the checkpoint of ${checkpoint.at}; the last that agrees has size ${since}`;
      state.disputed = { seq: row.seq, kind: 'fork', detail };
      return;
    }
    state.verdict.checkpoints++;
    state.verdict.witnessedTo = row.seq;
  }
}

/** True where the row is the true successor of the last proved one, whatever sequence it carries. */
const isSuccessor = (state: State, row: ChainRow): boolean =>
  equalSecrets(row.prevHash, state.expectedPrev) && standsAt(row, state.expectedSeq);

function takeRow(state: State, row: ChainRow, leaves: readonly AuditLeaf[]): void {
  const inPlace = row.seq === state.expectedSeq;
  if (inPlace && isSuccessor(state, row) && state.disputed === undefined) {
    const fault = leafFault(row, leaves);
    if (fault !== undefined) return settle(state, fault);
    state.verdict.verified++;
    state.verdict.leaves += leaves.length;
    state.expectedPrev = row.hash;
    state.expectedSeq = row.seq + 1;
    return witness(state, row);
  }
  // The row is whole and follows another hash: its predecessor was rewritten, hash and all.
  if (inPlace && row.seq > 1 && standsAt(row, row.seq) && !isSuccessor(state, row)) {
    return settle(state, rewritten(row.seq - 1));
  }
  if (state.disputed !== undefined) return settle(state, state.disputed);
  if (!inPlace && isSuccessor(state, row)) return settle(state, reordered(state, row));
  state.misfit = inPlace ? row : 'missing';
}

const rewritten = (seq: number): ChainFault => ({
  seq,
  kind: 'edit',
  detail: 'the entry was rewritten with a hash that its successor does not name',
});

const reordered = (state: State, row: ChainRow): ChainFault => ({
  seq: state.expectedSeq,
  kind: 'reorder',
  detail: `the entry that belongs here carries sequence ${row.seq}`,
});

function judgeEnd(state: State): ChainFault | undefined {
  const { expectedSeq, misfit, head } = state;
  const last = expectedSeq - 1;
  if (misfit === 'missing') {
    return {
      seq: expectedSeq,
      kind: 'delete',
      detail: 'the entry is missing, later ones are there',
    };
  }
  if (misfit !== undefined) return { seq: expectedSeq, ...kindOfMisfit(misfit, expectedSeq) };
  const largest = state.witnesses.at(-1)?.size ?? 0;
  const witnessed = Math.max(head?.seq ?? 0, largest);
  if (witnessed > last) {
    const detail = `the chain ends at ${last}, ${witnessed} entries were witnessed`;
    return { seq: last + 1, kind: 'truncate', detail };
  }
  const headHash = head?.hash ?? genesisHash(state.tenant);
  const agrees = (head?.seq ?? 0) === last && equalSecrets(headHash, state.expectedPrev);
  if (state.disputed !== undefined) return agrees ? state.disputed : rewritten(last);
  if (agrees) return undefined;
  return { seq: Math.max(last, 1), kind: 'edit', detail: 'the last entry differs from the head' };
}

/**
 * Verifies one tenant's chain from its first entry on, both levels: links, and leaves against their seals; then
 * against the head row and every checkpoint. Read the checkpoints first, then the head, then the rows up to it: what
 * is appended meanwhile is then never mistaken for tampering.
 */
export function createChainVerifier(facts: {
  tenant: string;
  head: ChainHead | undefined;
  checkpoints: readonly Checkpoint[];
}): ChainVerifier {
  const state: State = {
    tenant: facts.tenant,
    head: facts.head,
    witnesses: checkpointsBySize(facts.tenant, facts.checkpoints),
    nextWitness: 0,
    expectedPrev: genesisHash(facts.tenant),
    expectedSeq: 1,
    verdict: { status: 'intact', verified: 0, leaves: 0, checkpoints: 0, witnessedTo: 0 },
  };
  return {
    add: ({ rows, leaves }) => {
      for (const row of rows) {
        if (state.verdict.fault !== undefined) return false;
        if (state.misfit === undefined) takeRow(state, row, leaves.get(row.seq) ?? []);
        else if (isSuccessor(state, row)) settle(state, reordered(state, row));
      }
      return state.verdict.fault === undefined;
    },
    finish: () => {
      const fault = state.verdict.fault ?? judgeEnd(state);
      return fault === undefined ? state.verdict : { ...state.verdict, status: 'broken', fault };
    },
  };
}

/** {@link createChainVerifier} over a chain that is at hand as a whole. */
export function verifyChain(
  chain: ChainPage & Parameters<typeof createChainVerifier>[0],
): ChainVerdict {
  const verifier = createChainVerifier(chain);
  verifier.add(chain);
  return verifier.finish();
}
