import { PlatformError } from '../../domain/errors.js';
import type { Change } from '../../domain/events/change.js';
import type { ReleaseProgress, Target } from '../../domain/release/contract.js';
import type { ReleaseRecord } from '../../domain/release/record.js';
import type { Tx } from './database.js';
import { readRelease, writeStep, type StepChange } from './release-row.js';

/** Reads a release that must be there; `lock` holds its row. @throws NOT_FOUND */
export async function mustRead(
  tx: Tx,
  key: { tenant: string; releaseId: string },
  lock = false,
): Promise<ReleaseRecord> {
  const record = await readRelease(tx, key, lock);
  if (record === undefined) throw new PlatformError('NOT_FOUND', 'There is no such release.');
  return record;
}

/** The target of a release. */
export const targetOf = ({ env, kind, name }: ReleaseRecord): Target => ({ env, kind, name });

/** The audit entry and the event of a move. */
function told(
  record: ReleaseRecord,
  after: ReleaseProgress,
  word: string,
): Pick<Change<unknown>, 'audit' | 'events'> {
  const { releaseId, env, name, version, progress } = record;
  const facts = { env, name, version, state: after.state, epoch: after.movedEpoch };
  return {
    audit: {
      action: `release.${word}`,
      resource: { type: 'release', id: releaseId },
      before: { state: progress.state, seq: progress.seq },
      after: { ...facts, seq: after.seq },
      reason: after.reason,
    },
    events: [{ type: `anneal.release.${word}.v1`, subject: releaseId, data: facts }],
  };
}

/** Writes a step and tells of it; where the release has gone on, answers where it is and writes nothing. */
export async function stepped(
  tx: Tx,
  record: ReleaseRecord,
  change: Omit<StepChange, 'tenant' | 'releaseId'> & { word: string },
): Promise<Change<ReleaseProgress>> {
  const { tenant, releaseId } = record;
  if (!(await writeStep(tx, { ...change, tenant, releaseId }))) {
    return { status: 200, body: record.progress, audit: [] };
  }
  const { progress } = await mustRead(tx, { tenant, releaseId });
  return { status: 200, body: progress, ...told(record, progress, change.word) };
}
