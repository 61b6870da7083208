import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createDatasetsActivities,
  type DatasetsDeps,
} from '../../src/activities/datasets/index.js';
import { createEventsActivities } from '../../src/activities/events/index.js';
import { openFolderStore } from '../../src/adapters/artifacts/folder-store.js';
import { createAuditStore } from '../../src/adapters/postgres/audit.js';
import { createPublicationProgressStore } from '../../src/adapters/postgres/datasets-progress.js';
import { createPublicationStore } from '../../src/adapters/postgres/datasets-publications.js';
import { createSnapshotPublisher } from '../../src/adapters/postgres/datasets-publish.js';
import { createSnapshotStore } from '../../src/adapters/postgres/datasets-snapshots.js';
import { createDatasetStore } from '../../src/adapters/postgres/datasets.js';
import { createIntentStore } from '../../src/adapters/postgres/events.js';
import { newId } from '../../src/adapters/postgres/new-id.js';
import { mergeRuns } from '../../src/adapters/tabular/merge-runs.js';
import { readParts, readQuarantine } from '../../src/adapters/tabular/read-part.js';
import { inspectTable } from '../../src/adapters/tabular/read-table.js';
import { stageRows } from '../../src/adapters/tabular/stage-rows.js';
import { artifactSource } from '../../src/adapters/tabular/table-reader.js';
import { createStarter } from '../../src/adapters/temporal/starter.js';
import { createApp } from '../../src/api/app.js';
import { datasetsRoutes, type DatasetsRouteDeps } from '../../src/api/datasets/index.js';
import { permissionsOf, type Role } from '../../src/domain/access/permissions.js';
import type { ArtifactStore } from '../../src/domain/artifacts.js';
import { defaultPublicationLimits } from '../../src/domain/datasets/contract.js';
import type { StartRequest, WakeRequest } from '../../src/domain/events/contract.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import type { TestTemporal } from '../support/temporal.js';
import { tokenise } from './stage-table.js';

/** What an answer is compared with. */
export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

/** Who sends a request; a data steward unless said otherwise. */
interface Sender {
  tenant: string;
  subject?: string;
  roles?: Role[];
  idempotencyKey?: string;
  waitS?: number;
}

const headersOf = (who: Sender): Record<string, string> => {
  const { tenant, subject = 'prn_steward', roles = ['data-steward'] } = who;
  return {
    authorization: `Bearer ${tenant}:${subject}:${roles.join(',')}`,
    'idempotency-key': who.idempotencyKey ?? randomUUID(),
    ...(who.waitS === undefined ? {} : { prefer: `wait=${who.waitS}` }),
  };
};

const answerOf = async (response: Response): Promise<Answer> => ({
  status: response.status,
  body: (await response.json()) as Answer['body'],
});

function createSenders(port: number) {
  const url = (path: string) => `http://127.0.0.1:${port}${path}`;
  return {
    send: async (method: string, path: string, who: Sender & { body?: unknown }) => {
      const json = who.body === undefined ? {} : { 'content-type': 'application/json' };
      return answerOf(
        await fetch(url(path), {
          method,
          headers: { ...headersOf(who), ...json },
          ...(who.body === undefined ? {} : { body: JSON.stringify(who.body) }),
        }),
      );
    },
    upload: async (dataset: string, who: Sender, form: { options?: unknown; file?: string }) => {
      const body = new FormData();
      if (form.options !== undefined)
        body.append(
          'options',
          typeof form.options === 'string' ? form.options : JSON.stringify(form.options),
        );
      if (form.file !== undefined) body.append('file', new Blob([form.file]), 'rows.csv');
      return answerOf(
        await fetch(url(`/v1/datasets/${dataset}/snapshots`), {
          method: 'POST',
          headers: headersOf(who),
          body,
        }),
      );
    },
    /** Sends chunks as a multipart file until it is answered; announces a length only where one is given. */
    stream: (dataset: string, who: Sender, form: StreamedForm) =>
      streamForm(
        { port, path: `/v1/datasets/${dataset}/snapshots`, headers: headersOf(who) },
        form,
      ),
  };
}

interface StreamedForm {
  options: unknown;
  chunks: Iterable<Buffer>;
  contentLength?: number;
}

function streamForm(
  to: { port: number; path: string; headers: Record<string, string> },
  form: StreamedForm,
): Promise<Answer & { sentBytes: number }> {
  return new Promise((resolve, reject) => {
    let sentBytes = 0;
    let answered = false;
    const headers = {
      ...to.headers,
      'content-type': 'multipart/form-data; boundary=edge',
      ...(form.contentLength === undefined ? {} : { 'content-length': form.contentLength }),
    };
    const request = httpRequest(
      { host: '127.0.0.1', port: to.port, path: to.path, method: 'POST', headers },
      (response) => {
        answered = true;
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          request.destroy();
          const body = JSON.parse(text) as Answer['body'];
          resolve({ status: response.statusCode ?? 0, body, sentBytes });
        });
      },
    );
    request.on('error', (error) => {
      if (!answered) reject(error);
    });
    const part = (head: string) => `--edge\r\ncontent-disposition: form-data; ${head}\r\n\r\n`;
    request.write(`${part('name="options"')}${JSON.stringify(form.options)}\r\n`);
    request.write(part('name="file"; filename="rows.csv"'));
    const chunks = form.chunks[Symbol.iterator]();
    const pump = (): void => {
      while (!answered) {
        const next = chunks.next();
        if (next.done === true) return void request.end('\r\n--edge--\r\n');
        sentBytes += next.value.length;
        if (!request.write(next.value)) return void request.once('drain', pump);
      }
    };
    pump();
  });
}

type Senders = ReturnType<typeof createSenders>;

/** The capability `datasets` over a database and an artifact store of its own. */
export interface DatasetsWorld extends Senders {
  database: TestDatabase;
  artifacts: ArtifactStore;
  /** Starts and wakes that the edge was told to carry out. */
  started: StartRequest[];
  woken: WakeRequest[];
  /** What the edge logged as an error. */
  faults: object[];
  newTenant: () => string;
  /** Everything the artifact store holds of a tenant, by path. */
  storedFiles: (tenant: string) => Promise<string[]>;
  activities: (change?: Partial<DatasetsDeps>) => object;
  close: () => Promise<void>;
}

async function startApi(
  base: Pick<DatasetsWorld, 'database' | 'artifacts' | 'started' | 'woken'>,
  change: Partial<DatasetsRouteDeps>,
  temporal: TestTemporal | undefined,
) {
  const { database, artifacts, started, woken } = base;
  const starter = temporal && createStarter(temporal.client);
  const faults: object[] = [];
  const routes = datasetsRoutes({
    ...createDatasetStore(database.api),
    ...createPublicationStore(database.api),
    ...createSnapshotStore(database.api),
    artifacts,
    inspectUpload: async (ref, shape) => inspectTable(await artifactSource(artifacts, ref), shape),
    uploadBytes: 256 * 1024 * 1024,
    uploadDeadlineMs: 60_000,
    limits: defaultPublicationLimits,
    links: { temporalUi: (id) => `http://localhost/${id}` },
    ...change,
  });
  const app = createApp(routes, {
    authenticate: async (header) => {
      const [tenant = '', subject = '', held = ''] = (header ?? '').slice(7).split(':');
      const roles = held.split(',') as Role[];
      const permissions = permissionsOf(roles, []);
      const who = { subject, name: 'test', kind: 'person' as const };
      return { tenant, ...who, roles, groups: [], permissions, env: 'dev', via: 'api-key:test' };
    },
    startWorkflow: async (tenant, start) => {
      started.push(start);
      await starter?.startWorkflow(tenant, start);
    },
    wakeWorkflow: async (wake) => {
      woken.push(wake);
      await starter?.wakeWorkflow(wake);
    },
    recordRefusal: createAuditStore(database.api).recordRefusal,
    newRequestId: () => newId('request'),
    log: {
      warn: () => undefined,
      error: (facts) => void faults.push(facts),
    },
    observe: () => undefined,
    stopping: new AbortController().signal,
  });
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { ...createSenders(port), faults, close };
}

/** Builds the world; with `temporal` the edge starts workflows there. */
export async function createDatasetsWorld(
  options: { temporal?: TestTemporal; change?: Partial<DatasetsRouteDeps> } = {},
): Promise<DatasetsWorld> {
  const database = await createTestDatabase();
  const root = await mkdtemp(join(tmpdir(), 'anneal-datasets-'));
  const artifacts = await openFolderStore({ root, nowMs: Date.now() });
  const base = { database, artifacts, started: [], woken: [] };
  const api = await startApi(base, options.change ?? {}, options.temporal);
  return {
    ...base,
    ...api,
    newTenant: () => `t-${randomUUID().slice(0, 8)}`,
    storedFiles: async (tenant) => {
      const found = await readdir(join(root, tenant), {
        recursive: true,
        withFileTypes: true,
      }).catch(() => []);
      const incoming = await readdir(join(root, '.incoming'));
      return [...found.filter((file) => file.isFile()).map(({ name }) => name), ...incoming];
    },
    activities: (change = {}) => ({
      ...createEventsActivities(createIntentStore(database.worker)),
      ...createDatasetsActivities({
        publications: {
          ...createPublicationProgressStore(database.worker),
          ...createSnapshotPublisher(database.worker),
        },
        stageRows: (input, deps) => stageRows(artifacts, input, deps),
        mergeRuns: (input, deps) => mergeRuns(artifacts, input, deps),
        readParts: (parts) => readParts(artifacts, parts),
        readQuarantine: (ref) => readQuarantine(artifacts, ref),
        dropStaged: (tenant, scope) => artifacts.dropStaged(tenant, scope),
        tokeniser: async () => tokenise,
        ...change,
      }),
    }),
    close: async () => {
      await api.close();
      await database.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

export const terms = {
  title: 'Loans',
  purposes: ['lending', 'research'],
  legalBasis: 'contract',
  retentionDays: 30,
};

export const loanContract = {
  fields: [
    { name: 'id', type: 'string', personal: 'identifier' },
    { name: 'income', type: 'number', min: 0 },
    { name: 'outcome', type: 'categorical', enum: ['bad', 'good'] },
  ],
  label: { field: 'outcome', positive: 'good' },
  subjectKeyField: 'id',
};

/** A loan table of `rows` rows, the first `wrong` of them with a negative income. */
export function loans(rows: number, wrong = 0): string {
  const lines = Array.from(
    { length: rows },
    (_, i) => `c${i},${i < wrong ? -1 : 100 + i},${i % 2 === 0 ? 'good' : 'bad'}`,
  );
  return `${['id,income,outcome', ...lines].join('\n')}\n`;
}

export const csv = { source: { format: 'csv' } };

/** A data set `loans` with a contract; answers the contract's id. */
export async function describeLoans(
  world: DatasetsWorld,
  tenant: string,
  more: { terms?: object; contract?: unknown; name?: string } = {},
): Promise<string> {
  const name = more.name ?? 'loans';
  const put = { tenant, body: { ...terms, ...more.terms } };
  const made = await world.send('PUT', `/v1/datasets/${name}`, put);
  if (made.status !== 201) throw new Error(JSON.stringify(made));
  const body = more.contract ?? loanContract;
  const written = await world.send('POST', `/v1/datasets/${name}/contracts`, { tenant, body });
  if (written.status !== 201) throw new Error(JSON.stringify(written));
  return String(written.body['id']);
}
