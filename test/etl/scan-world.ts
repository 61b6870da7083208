import { createEtlScanLedger } from '../../src/adapters/postgres/etl-scan-ledger.js';
import { createEtlScanStore } from '../../src/adapters/postgres/etl-scans.js';
import { sha256Hex } from '../../src/domain/digest.js';
import { docId } from '../../src/domain/etl/fingerprints.js';
import { pipelineFps } from '../../src/domain/etl/pipeline-fps.js';
import type { ListedDocument, ScanLedger } from '../../src/domain/etl/scan.js';
import { createTestDatabase } from '../support/database.js';
import { callerOf, LedgerWorld, sourceId } from './ledger-world.js';

const chunking = { targetChars: 1_200, maxChars: 1_600 };
export const pii = { policyVersion: 'policy-1', keyId: 'key-1' };
export const guard = { tokenizer: 'test', max: 8_192, count: (text: string) => text.length };
const DAY_MS = 86_400_000;

/** A folder that is listed, read and watched: what a pull source is to the ledger. */
export class ScanWorld extends LedgerWorld {
  /** Text and token of every file, by tenant and key. */
  readonly files = new Map<string, Map<string, { text: string; token: string }>>();
  /** What scrubs now; another one is another pipeline. */
  pii = pii;
  readonly scans: ScanLedger = createEtlScanLedger({
    ...this.parts,
    piiOf: () => Promise.resolve(this.pii),
    chunkTokens: guard,
  });
  readonly store = createEtlScanStore(this.database.api);
  #scans = 0;
  #versions = 0;

  static override async create(): Promise<ScanWorld> {
    return new ScanWorld(await createTestDatabase());
  }

  override async seed(tenant: string): Promise<void> {
    await super.seed(tenant, 'folder');
    this.files.set(tenant, new Map());
    await this.database.asSuperuser(
      `update etl_collection set pipeline = $2, updated_at = now() - interval '1 hour' where tenant_id = $1`,
      [tenant, JSON.stringify({ chunking, piiPolicy: {} })],
    );
  }

  folder(tenant: string): Map<string, { text: string; token: string }> {
    const folder = this.files.get(tenant);
    if (folder === undefined) throw new Error(`${tenant} has no folder`);
    return folder;
  }

  /** Writes a file; nobody is told. */
  put(tenant: string, key: string, text: string): string {
    const token = `t${++this.#versions}`;
    this.folder(tenant).set(key, { text, token });
    return token;
  }

  /** What the watcher of the folder says of a file as it is now. */
  tell(tenant: string, key: string) {
    const file = this.folder(tenant).get(key);
    return this.record(tenant, {
      naturalKey: key,
      kind: file === undefined ? 'delete' : 'upsert',
      sourceVersion: file?.token ?? `gone ${++this.#versions}`,
      priority: file === undefined ? 2 : 3,
    });
  }

  async docIdOf(tenant: string, key: string): Promise<string> {
    return docId((await this.parts.keyOf(tenant)).reveal(), sourceId, key);
  }

  /** A scan that samples exactly these of the folder's documents and of those known. */
  async begin(tenant: string, sampled: readonly string[] = []): Promise<string> {
    const keys = new Set([...this.folder(tenant).keys(), ...sampled, ...'abcdef']);
    const ids = new Map<string, string>();
    for (const key of keys) ids.set(key, await this.docIdOf(tenant, key));
    const isRight = (scanId: string): boolean =>
      [...ids].every(([key, id]) => {
        const share = Number.parseInt(sha256Hex(`${id}${scanId}`).slice(0, 7), 16) % 100;
        return (share === 0) === sampled.includes(key);
      });
    let scanId = '';
    do scanId = `scn_${String(++this.#scans).padStart(26, '0')}`;
    while (keys.size < 50 && !isRight(scanId));
    await this.database.asSuperuser(
      `insert into etl_scan (tenant_id, scan_id, source_id, state, requested_by) values ($1, $2, $3, 'RUNNING', 'prn_x')`,
      [tenant, scanId, sourceId],
    );
    return scanId;
  }

  listing(tenant: string): ListedDocument[] {
    return [...this.folder(tenant)].map(([naturalKey, { text, token }]) => ({
      ...{ naturalKey, token },
      bytes: text.length,
    }));
  }

  page(
    tenant: string,
    scanId: string,
    more: { entries?: ListedDocument[]; cursor?: string; complete?: boolean } = {},
  ): Promise<void> {
    const { entries = this.listing(tenant), cursor, complete = true } = more;
    return this.scans.recordPage(tenant, scanId, { entries, cursor, complete });
  }

  applyScan(tenant: string, scanId: string, decisionMs = 7 * DAY_MS) {
    return this.scans.applyScan(callerOf(tenant), scanId, { minDeletes: 20, decisionMs });
  }

  /** Lists the folder as it is and applies the listing. */
  async scan(tenant: string, sampled: readonly string[] = []) {
    const scanId = await this.begin(tenant, sampled);
    await this.page(tenant, scanId);
    return { scanId, ...(await this.applyScan(tenant, scanId)) };
  }

  /** Reads and applies what is due, as the batches of a watcher do. @returns the keys that were read, in order */
  async settle(tenant: string): Promise<string[]> {
    const read: string[] = [];
    const [pipelineFp] = pipelineFps({ chunking }, this.pii, guard);
    for (;;) {
      const { batchId, documents } = await this.claim(tenant);
      if (documents.length === 0) return read.sort();
      const gone: { docId: string; fence: bigint; sourceToken: string }[] = [];
      const found = documents.flatMap((one) => {
        if (one.change.kind === 'delete') return [one];
        read.push(one.naturalKey);
        const file = this.folder(tenant).get(one.naturalKey);
        if (file === undefined && (one.deleted || one.liveRev === undefined))
          return [{ ...one, change: { ...one.change, kind: 'delete' as const } }];
        if (file === undefined) {
          gone.push({
            docId: one.docId,
            fence: one.fence,
            sourceToken: one.hashes.sourceToken ?? '',
          });
          return [];
        }
        const { text: contentRef, token: sourceVersion } = file;
        return [{ ...one, change: { ...one.change, contentRef, sourceVersion } }];
      });
      await this.ledger.settleUnchanged(tenant, batchId, gone);
      const writes = await this.intend(tenant, batchId, found);
      this.apply(tenant, writes);
      await this.commit(tenant, { batchId }, writes);
      await this.database.asSuperuser(
        `update etl_document set pipeline_fp = $2 where tenant_id = $1 and live_rev is not null`,
        [tenant, pipelineFp],
      );
    }
  }
}
