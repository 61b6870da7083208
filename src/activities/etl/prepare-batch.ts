import { sleep } from '@temporalio/activity';
import { noCounts, type BatchCounts } from '../../domain/etl/contract.js';
import type { TokenGuard } from '../../domain/etl/chunk-text.js';
import { aclHash, pipelineFp } from '../../domain/etl/fingerprints.js';
import type {
  ClaimedDocument,
  PreparedRevision,
  SettledAccess,
  SourceFacts,
  Stopped,
} from '../../domain/etl/ledger.js';
import { createNearIndex, type NearIndex } from '../../domain/etl/near-duplicates.js';
import { chunkFpOf } from '../../domain/etl/pipeline-fps.js';
import type { EtlDeps, Scrubber } from './etl-deps.js';
import { flagNearDuplicates } from './flag-near-duplicates.js';
import { keepClaims, type Beat } from './keep-claims.js';
import { accessOf, makeRevision } from './make-revision.js';
import { readDocument, type FetchedDocument, type Refusal } from './read-document.js';

export interface PrepareBatchInput {
  tenant: string;
  sourceId: string;
  batchId: string;
  claim: { maxDocuments: number; maxBytes: number; lingerMs: number };
}

/**
 * Documents that are read and parsed together, while those before them are recorded: a crash repeats two such groups at
 * most, and nothing of it costs an embed.
 */
const GROUP_DOCUMENTS = 128;
/** Documents that are read at once. */
const READS = 8;

/** What a group of a batch is prepared with. */
interface Preparation {
  tenant: string;
  batchId: string;
  source: SourceFacts;
  scrubber: Scrubber;
  beat: Beat;
  counts: BatchCounts;
  /** Texts of this batch that were recorded already. */
  near: NearIndex;
}

type Unchanged = Parameters<EtlDeps['ledger']['settleUnchanged']>[2][number];

/** Results of `work` beside their items, in order; at most `width` at a time. */
async function inOrder<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<[T, R][]> {
  const results: [T, R][] = [];
  for (let at = 0; at < items.length; at += width)
    results.push(
      ...(await Promise.all(
        items.slice(at, at + width).map(async (item): Promise<[T, R]> => [item, await work(item)]),
      )),
    );
  return results;
}

const stopped = ({ docId, fence }: ClaimedDocument, refusal: Refusal): Stopped => ({
  docId,
  fence,
  ...refusal,
});

/** False where the list of readers was cut while a later change waited: only the bytes say what it is in full. */
const hasWholeAccess = ({ acl, hashes }: ClaimedDocument): boolean =>
  aclHash({ acl, deniedPurposes: [] }) === hashes.acl;

/** Rung 2: the bytes and the whole way from them are what they were, and nothing is in doubt. */
function isSameBytes(
  { source, tokens }: { source: SourceFacts; tokens: TokenGuard },
  { claimed, raw, parse }: FetchedDocument,
): boolean {
  const { hashes, inDoubt, liveRev, change } = claimed;
  if (inDoubt || liveRev === undefined || claimed.deleted) return false;
  // What a push brings along may differ under the same bytes: title and metadata are compared after parsing.
  if (change.content?.title !== undefined || change.content?.metadata !== undefined) return false;
  const sameWay = hashes.parseFp === parse && hashes.chunkFp === chunkFpOf(source.pipeline, tokens);
  const pushedAcl = change.content?.acl;
  const sameAcl = pushedAcl === undefined || accessOf(source, claimed).aclHash === hashes.acl;
  return hashes.raw === raw && sameWay && sameAcl && hasWholeAccess(claimed);
}

/**
 * That a document is not there proves nothing about a live one: a scan or an event does. One that was never live, or that
 * a deletion has hidden before somebody said it was back, has nothing to keep.
 */
const hasNothing = ({ deleted, liveRev }: ClaimedDocument): boolean =>
  deleted || liveRev === undefined;

/** Reads a group; what is refused or unchanged is settled, what has to be parsed is answered. */
async function fetchGroup(deps: EtlDeps, to: Preparation, group: readonly ClaimedDocument[]) {
  const changed: FetchedDocument[] = [];
  const refusals: Stopped[] = [];
  const unchanged: Unchanged[] = [];
  const gone: ClaimedDocument[] = [];
  const { source, scrubber, beat } = to;
  const reads = await inOrder(group, READS, (claimed) => {
    beat.signal.throwIfAborted();
    return readDocument(deps, { source, scrubber, signal: beat.signal }, claimed);
  });
  for (const [claimed, read] of reads) {
    const { docId, fence, hashes } = claimed;
    if (read.kind === 'REFUSED') refusals.push(stopped(claimed, read.refusal));
    else if (read.kind === 'GONE' && hasNothing(claimed)) gone.push(claimed);
    else if (read.kind === 'GONE')
      unchanged.push({
        docId,
        fence,
        sourceToken: claimed.inDoubt ? '' : (hashes.sourceToken ?? ''),
        gone: true,
      });
    else if (isSameBytes({ source, tokens: deps.chunkTokens }, read.document))
      unchanged.push({
        docId,
        fence,
        sourceToken: read.document.token,
        rawHash: read.document.raw,
        acl: claimed.change.content?.acl,
      });
    else changed.push(read.document);
  }
  await recordDeletions(deps, to, gone);
  return { changed, refusals, unchanged };
}

async function recordDeletions(
  deps: EtlDeps,
  { tenant, batchId }: Preparation,
  documents: readonly ClaimedDocument[],
): Promise<void> {
  if (documents.length === 0) return;
  await deps.ledger.recordDeletions(
    tenant,
    batchId,
    documents.map(({ docId, fence, change }) => ({ docId, fence, seq: change.seq })),
  );
}

/** Rung 3: text, chunker and metadata are what the live revision has; only the way there is new. */
const isSameText = (
  { hashes, inDoubt, liveRev, deleted }: ClaimedDocument,
  next: { textHash: string; chunkFp: string; metaHash: string },
): boolean =>
  !inDoubt &&
  !deleted &&
  liveRev !== undefined &&
  hashes.text === next.textHash &&
  hashes.chunkFp === next.chunkFp &&
  hashes.meta === next.metaHash;

/** The bytes are recorded with the access they declare: were they not, an earlier file that comes back would look unchanged. */
const accessIn = ({ docId, fence, acl, aclHash, ...rest }: PreparedRevision): SettledAccess => {
  const { sourceToken, rawHash, parseFp, pipelineFp: fp } = rest;
  return { docId, fence, acl, aclHash, bytes: { sourceToken, rawHash, parseFp, pipelineFp: fp } };
};

/** What became of the documents of a group, before the ledger knows. */
interface MadeGroup {
  revisions: PreparedRevision[];
  accesses: SettledAccess[];
  unchanged: Unchanged[];
  refusals: Stopped[];
}

/** Reads and parses one group of documents whose content may have changed. */
async function makeGroup(
  deps: EtlDeps,
  to: Preparation,
  group: readonly ClaimedDocument[],
): Promise<MadeGroup> {
  const { source, scrubber, beat } = to;
  const { changed, refusals, unchanged } = await fetchGroup(deps, to, group);
  const byId = new Map(changed.map((document) => [document.claimed.docId, document]));
  await deps.failpoint?.('etl.k3');
  const parsed = await deps.parser.parse(
    changed.map(({ claimed, name, bytes, mediaType }) => ({
      id: claimed.docId,
      name,
      declaredType: claimed.change.content?.mediaType ?? mediaType,
      content: { bytes },
    })),
    beat.signal,
  );
  const revisions: PreparedRevision[] = [];
  const accesses: MadeGroup['accesses'] = [];
  for (const outcome of parsed) {
    const document = byId.get(outcome.id);
    if (document === undefined) continue;
    const { claimed } = document;
    if ('refused' in outcome) {
      const { reason, evidence } = outcome.refused;
      const hides = reason === 'acl_unresolved';
      refusals.push(stopped(claimed, { stage: 'parse', reason, hides, evidence }));
      continue;
    }
    const made = makeRevision(
      { source, scrubber, tokens: deps.chunkTokens },
      document,
      outcome.result,
    );
    if ('refusal' in made) {
      refusals.push(stopped(claimed, made.refusal));
      continue;
    }
    const { revision } = made;
    const { docId, fence, hashes } = { ...claimed };
    if (!isSameText(claimed, revision)) revisions.push(revision);
    else if (revision.aclHash !== hashes.acl) accesses.push(accessIn(revision));
    else
      unchanged.push({
        docId,
        fence,
        sourceToken: document.token,
        rawHash: document.raw,
        parseFp: document.parse,
        acl: revision.acl,
        chunkFp: revision.chunkFp,
        pipelineFp: pipelineFp(document.parse, revision.chunkFp as `sha256:${string}`),
      });
  }
  return { revisions, accesses, unchanged, refusals };
}

/** Tells the ledger what became of a group. */
async function recordGroup(deps: EtlDeps, to: Preparation, made: MadeGroup): Promise<void> {
  const { tenant, batchId, counts } = to;
  const { revisions, accesses, unchanged, refusals } = made;
  await flagNearDuplicates(deps, to, revisions);
  await deps.failpoint?.('etl.k4');
  if (unchanged.length > 0)
    counts.unchanged += (await deps.ledger.settleUnchanged(tenant, batchId, unchanged)).length;
  await settleAccesses(deps, to, accesses);
  if (refusals.length > 0) {
    await deps.ledger.quarantine(tenant, batchId, refusals);
    counts.quarantined += refusals.length;
  }
  if (revisions.length > 0) await deps.ledger.recordIntents(tenant, batchId, revisions);
}

/** Rung 5: access alone. The ledger holds it at once; the store's copies follow in the second step, or by reconcile. */
async function settleAccesses(
  deps: EtlDeps,
  { tenant, batchId, counts }: Preparation,
  accesses: readonly SettledAccess[],
): Promise<void> {
  if (accesses.length === 0) return;
  const settled = await deps.ledger.settleAccess(tenant, batchId, accesses);
  counts.unchanged += settled.length;
}

const kindOf = ({ change, deleted }: ClaimedDocument) =>
  change.kind === 'delete' || (deleted && change.kind === 'acl') ? 'delete' : change.kind;

async function prepareClaimed(
  deps: EtlDeps,
  to: Preparation,
  claimed: readonly ClaimedDocument[],
): Promise<void> {
  const { source, beat } = to;
  const open = claimed.filter(({ prepared }) => !prepared);
  const deletions = open.filter((document) => kindOf(document) === 'delete');
  await recordDeletions(deps, to, deletions);
  const access = open.filter((document) => kindOf(document) === 'acl');
  await settleAccesses(
    deps,
    to,
    access.map((document) => ({
      docId: document.docId,
      fence: document.fence,
      ...accessOf(source, document),
    })),
  );
  const upserts = open.filter((document) => kindOf(document) === 'upsert');
  let recording = Promise.resolve();
  try {
    for (let at = 0; at < upserts.length; at += GROUP_DOCUMENTS) {
      const made = await makeGroup(deps, to, upserts.slice(at, at + GROUP_DOCUMENTS));
      await recording;
      recording = recordGroup(deps, to, made);
      // Whether it failed is asked before the next group, and at the end.
      recording.catch(() => undefined);
      beat.note(Math.min(upserts.length, at + GROUP_DOCUMENTS));
    }
  } finally {
    await recording;
  }
  await deps.failpoint?.('etl.k6');
}

/**
 * First step of a batch: claims what is due, reads it, finds out what changed, and records what has to be written.
 * Documents that fail a gate go into quarantine; the others go on. A repeat skips what is recorded.
 * @returns counts without what is left to write
 * @throws SOURCE_UNAVAILABLE, STORE_UNAVAILABLE (retryable), SOURCE_CONFIG_INVALID
 */
export const createPrepareBatch =
  (deps: EtlDeps) =>
  ({ tenant, sourceId, batchId, claim }: PrepareBatchInput): Promise<BatchCounts> =>
    keepClaims(
      () => deps.ledger.renewClaims(tenant, batchId),
      async (beat) => {
        const counts = { ...noCounts };
        const source = await deps.ledger.findSource(tenant, sourceId);
        // A source that is paused keeps its backlog; one that goes or went still has deletions to apply.
        const isHeld = source?.state === 'PAUSED' || source?.state === 'FAILED';
        if (source === undefined || isHeld) return counts;
        if (claim.lingerMs > 0) await sleep(claim.lingerMs);
        const { maxDocuments, maxBytes } = claim;
        const claimed = await deps.ledger.claimBatch({
          ...{ tenant, sourceId, batchId },
          ...{ maxDocuments, maxBytes },
        });
        counts.claimed = claimed.length;
        if (claimed.length === 0) return counts;
        const scrubber = await deps.scrubber(tenant, source.pipeline.piiPolicy);
        const near = createNearIndex();
        const to = { tenant, batchId, source, scrubber, beat, counts, near };
        await prepareClaimed(deps, to, claimed);
        return counts;
      },
    );
