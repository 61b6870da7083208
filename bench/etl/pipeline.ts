import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Json, TourClient } from '../../src/main/tour-client.js';
import { gatherPeople } from '../../src/main/tour-people.js';
import { startInstallation } from '../freshness/installation.js';
import { edit, firstState, type Documents } from './corpus.js';
import { chunkingOf } from './our-engine.js';

const START_MS = 300_000;
const POLL_MS = 50;
const PATIENCE_MS = 900_000;

/** How fast the whole platform follows a folder. */
export interface PipelineFigure {
  phase: string;
  policy: string;
  documents: number;
  seconds: number;
  documentsPerSecond: number;
}

const policies = {
  'none found': { version: 'none', defaultAction: 'allow' },
  default: undefined,
} as const;

/** Writes those documents into the folder whose text is not what it was. */
async function writeFiles(folder: string, before: Documents, after: Documents): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const { key, text } of after.values())
    if (before.get(key)?.text !== text) await writeFile(join(folder, key), text);
}

/** Waits until a source has listed everything and nothing is due; fails where a document was stopped. */
async function untilDone(steward: TourClient, sourceId: string, documents: number): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const source = await steward.get(`/v1/sources/${sourceId}`);
    const { pending, claimed } = source.backlog as Record<string, number>;
    const isListed = source.runningScanId === undefined && source.documents === documents;
    if (isListed && pending === 0 && claimed === 0) {
      if (Number(source.quarantined) > 0)
        throw new Error(`${String(source.quarantined)} documents are in quarantine`);
      return;
    }
    if (performance.now() > deadline) throw new Error(`stuck: ${JSON.stringify(source)}`);
    await sleep(POLL_MS);
  }
}

/** Makes a collection whose source follows a folder. */
async function followFolder(
  steward: TourClient,
  of: { name: string; folder: string; piiPolicy: object | undefined },
): Promise<string> {
  const { name, folder, piiPolicy } = of;
  const collection = await steward.post('/v1/collections', {
    name,
    aclDefault: ['group:data-steward'],
    purposes: ['support'],
    chunking: chunkingOf(800),
    ...(piiPolicy === undefined ? {} : { piiPolicy }),
  });
  const source: Json = await steward.post('/v1/sources', {
    collectionId: collection.id,
    name: 'corpus',
    kind: 'folder',
    config: { path: folder },
    // Scans come when they are asked for.
    schedule: null,
  });
  return String(source.id);
}

/**
 * The whole platform as `npm start` runs it: a folder on disk, scans and batches as workflows, parsing in child
 * processes, scrubbing, gates, ledger and store; cold, unchanged, and with one document in a hundred edited.
 */
export async function measurePipeline(
  documents: Documents,
  say: (line: string) => void,
): Promise<PipelineFigure[]> {
  const installation = await startInstallation(START_MS);
  const figures: PipelineFigure[] = [];
  try {
    const { steward } = await gatherPeople(installation.url, installation.stateDir);
    for (const [policy, piiPolicy] of Object.entries(policies)) {
      const folder = join(installation.documents, policy.replace(' ', '-'));
      const timed = async (phase: string, work: () => Promise<void>): Promise<void> => {
        const since = performance.now();
        await work();
        const seconds = (performance.now() - since) / 1_000;
        const figure = { phase, policy, documents: documents.size, seconds };
        figures.push({ ...figure, documentsPerSecond: documents.size / seconds });
        say(`  ${phase}, policy ${policy}: ${seconds.toFixed(1)} s`);
      };
      const first = firstState(documents);
      const edited = edit(first, 100, 'A later measurement confirmed this finding.');
      await writeFiles(folder, new Map(), documents);
      let sourceId = '';
      await timed('cold', async () => {
        const name = `bench-${policy.replace(' ', '-')}`;
        sourceId = await followFolder(steward, { name, folder, piiPolicy });
        await untilDone(steward, sourceId, documents.size);
      });
      const again = async (): Promise<void> => {
        await steward.post(`/v1/sources/${sourceId}:scan`, {});
        await untilDone(steward, sourceId, documents.size);
      };
      await timed('unchanged', again);
      await writeFiles(folder, documents, edited.documents);
      await timed('1 % edited', again);
    }
    return figures;
  } finally {
    await installation.stop();
  }
}

export const pipelineHeads = ['Phase', 'PII policy', 'documents', 'seconds', 'documents/s'];

export const pipelineCells = (one: PipelineFigure): string[] => [
  one.phase,
  one.policy,
  String(one.documents),
  one.seconds.toFixed(1),
  Math.round(one.documentsPerSecond).toLocaleString('en-US'),
];
