import { join } from 'node:path';
import { parseRef } from '../adapters/artifacts/folder-keys.js';
import { createRestorationLog } from '../adapters/backup/restoration-log.js';
import type { FileKeys } from '../adapters/backup/sealed-file.js';
import { bringArtifacts } from '../adapters/backup/state-mirror.js';
import { createCheckpointFile } from '../adapters/checkpoint-file/checkpoint-file.js';
import { readNamedArtifacts } from '../adapters/postgres/named-artifacts.js';
import { recordRestore } from '../adapters/postgres/record-restore.js';
import { createAuditStore } from '../adapters/postgres/audit.js';
import { openDatabase } from '../adapters/postgres/database.js';
import type { RoleUrls } from '../adapters/postgres/provision.js';
import { createVerifyAudit } from '../activities/audit/index.js';
import type { Config } from '../config.js';
import { genesisHash, type Checkpoint } from '../domain/audit/chain.js';
import type { BackupManifest, BackupRestored } from '../domain/backup/contract.js';
import { lostEntries } from '../domain/backup/judge-restore.js';

const hexOf = (hash: Uint8Array): string => Buffer.from(hash).toString('hex');

/** The largest checkpoint of each chain. */
function largest(checkpoints: readonly Checkpoint[]): Map<string, Checkpoint> {
  const found = new Map<string, Checkpoint>();
  for (const checkpoint of checkpoints)
    if (checkpoint.size > (found.get(checkpoint.tenant)?.size ?? 0))
      found.set(checkpoint.tenant, checkpoint);
  return found;
}

/** Where a chain ends now. */
function endOf(
  tenant: string,
  heads: readonly { tenant: string; seq: number; hash: Uint8Array }[],
) {
  const head = heads.find((each) => each.tenant === tenant);
  return { tenant, size: head?.seq ?? 0, headHash: hexOf(head?.hash ?? genesisHash(tenant)) };
}

/** What a restore came to. */
type Witnessed = Pick<
  BackupRestored,
  'restorationId' | 'recoveredTo' | 'audit' | 'lost' | 'epochs'
> & {
  replayedTo: string;
  /** Artifacts that rows name and nothing holds. */
  missingArtifacts: string[];
};

/**
 * Proves what came back against every checkpoint within it, lists what was witnessed beyond it, and writes the restore
 * into the chains and behind the last checkpoint: what is lost stays visible in both.
 * @throws where a chain contradicts what was witnessed of it
 */
export async function witnessRestore(parts: {
  config: Config;
  manifest: BackupManifest;
  /** Where the backup lies among others. */
  backupFolder: string;
  keys: FileKeys;
  urls: RoleUrls;
  adminUrl: string;
  say: (line: string) => void;
}): Promise<Witnessed> {
  const { config, manifest, urls, adminUrl } = parts;
  const file = createCheckpointFile(join(config.stateDir, 'audit', 'checkpoints'));
  const checkpoints = await file.read();
  const origin = `anneal/${config.temporal.namespace}`;
  const witnesses: Checkpoint[] = [
    ...checkpoints,
    ...manifest.audit.map((end) => ({ ...end, origin, at: manifest.stoppedAt })),
  ];
  const db = openDatabase({ url: urls.worker, poolSize: 2, applicationName: 'anneal-restore' });
  try {
    const store = createAuditStore(db);
    const heads = await store.heads();
    const sizes = new Map(heads.map(({ tenant, seq }) => [tenant, seq]));
    const within = witnesses.filter(({ tenant, size }) => size <= (sizes.get(tenant) ?? 0));
    const verify = createVerifyAudit({ ...store, readCheckpoints: async () => within });
    const audit: BackupRestored['audit'] = [];
    for (const { tenant } of heads) {
      const { status, size, verified, fault } = await verify(
        tenant,
        AbortSignal.timeout(3_600_000),
      );
      if (status === 'broken')
        throw new Error(
          `the audit chain of ${tenant} does not verify: ${fault?.kind} at ${fault?.seq}, ${fault?.detail}`,
        );
      audit.push({ tenant, size, verified });
    }
    const witnessed = largest(witnesses);
    const tenants = new Set([...sizes.keys(), ...witnessed.keys()]);
    const lost = lostEntries(
      [...tenants].map((tenant) => ({
        tenant,
        size: sizes.get(tenant) ?? 0,
        witnessed: witnessed.get(tenant),
      })),
    );
    const refs = await readNamedArtifacts(adminUrl);
    const named = refs.map((ref) => ({ ref, path: parseRef(ref).path }));
    const missingArtifacts = await bringArtifacts(named, {
      stateDir: config.stateDir,
      backupDir: parts.backupFolder,
      keys: parts.keys,
    });
    const { backupId, stoppedAt } = manifest;
    const { reserveThousand } = createRestorationLog(parts.backupFolder);
    const recorded = await recordRestore(adminUrl, { backupId, stoppedAt, lost }, (newest) =>
      reserveThousand(backupId, newest),
    );
    const ends = lost.map(({ tenant }) => endOf(tenant, heads));
    const at = new Date().toISOString();
    await file.appendRestored(ends.map((end) => ({ ...end, origin, at, restored: backupId })));
    return { ...recorded, audit, lost, missingArtifacts };
  } finally {
    await db.close();
  }
}
