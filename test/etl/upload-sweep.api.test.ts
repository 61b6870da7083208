import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolderStore } from '../../src/adapters/artifacts/folder-store.js';
import { uploadScope, type ArtifactStore } from '../../src/domain/artifacts.js';
import { MINUTE_MS } from '../../src/domain/units.js';
import { startTestApi } from '../support/api.js';
import { eventually } from '../support/eventually.js';

const tenantId = 'default';

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

test('an API that starts removes what a killed one had staged, and leaves alone what another one stages now', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'anneal-killed-'));
  const root = join(stateDir, 'artifacts');
  const store: ArtifactStore = await openFolderStore({ root, nowMs: Date.now() });
  const stage = (scope: string) =>
    store.putStaged({ tenantId, scope, name: 'file', body: once(scope) });
  const [killed, busy, run] = [uploadScope('req_killed'), uploadScope('req_busy'), 'pub_1'];
  for (const scope of [killed, busy, run]) await stage(scope);
  const kept = await store.put({ tenantId, body: once('a document') });
  const at = new Date(Date.now() - 31 * MINUTE_MS);
  for (const scope of [killed, run]) await utimes(join(root, tenantId, 'staged', scope), at, at);
  const api = await startTestApi(undefined, { ANNEAL_STATE_DIR: stateDir });
  try {
    await eventually(async () => expect(await store.listStaged(tenantId, killed)).toEqual([]));
    expect(await store.listStaged(tenantId, busy)).toHaveLength(1);
    expect(await store.listStaged(tenantId, run)).toHaveLength(1);
    expect(await store.stat(kept.ref)).toMatchObject({ sha256: kept.sha256 });
  } finally {
    await api.stop();
    await rm(stateDir, { recursive: true, force: true });
  }
}, 60_000);
