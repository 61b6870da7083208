import { createHash, randomUUID } from 'node:crypto';
import { pause } from '../../support/pause.js';
import { ApiError, callApi } from '../people.js';
import { LOAN, type Part, type TenantWorld } from './tenant-world.js';

// Those who ask a model and a collection, and never let go of a question.

/** Where a twin's tries count from. */
const TWIN = 1_001;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** One question to the model; half of the callers wait for the answer, half come back for it. */
async function infer(world: TenantWorld, n: number): Promise<string> {
  const applicant = world.applicants[n % world.applicants.length];
  const body = {
    model: LOAN,
    inputs: applicant?.inputs,
    purpose: 'credit-scoring',
    subject: { key: n % 10 === 0 ? world.canary() : `${applicant?.id}-${n}` },
  };
  const waits = n % 2 === 0;
  const as = world.as('service');
  const call = {
    op: 'infer',
    method: 'POST',
    path: '/v1/inferences',
    body,
    headers: { prefer: `wait=${waits ? 10 : 0}` },
    idempotencyKey: randomUUID(),
  } as const;
  // Now and then a client sends twice at once.
  const again = n % 25 === 0 ? world.api.insist(as, { ...call, firstAttempt: TWIN }) : undefined;
  const answer = await world.api.insist(as, call);
  await again;
  const id = String(answer['id']);
  await world.api.follow(as, { op: 'infer', id, path: `/v1/inferences/${id}` });
  return id;
}

/** What came of a decision, said once; the label, or a remark that no log may hold. */
async function feedBack(world: TenantWorld, decisionId: string, n: number): Promise<void> {
  const applicant = world.applicants[n % world.applicants.length];
  const remark = { type: 'comment', value: `a remark: ${world.canary()}` };
  const said = n % 3 === 0 ? remark : { type: 'label', value: applicant?.label };
  await world.post('service', {
    op: 'feedback',
    path: '/v1/feedback',
    body: {
      decisionId,
      ...said,
      source: { kind: 'system', id: 'loan-ledger' },
      observedAt: new Date().toISOString(),
    },
  });
}

/** A request that is refused, with a secret where a number belongs. */
async function askWrongly(world: TenantWorld): Promise<void> {
  const inputs = { ...world.applicants[0]?.inputs, income: world.canary() };
  const body = { model: LOAN, inputs, purpose: 'credit-scoring' };
  const call = { op: 'bad-input', method: 'POST', path: '/v1/inferences', body } as const;
  await world.api.insist(world.as('service'), call).catch((error: unknown) => {
    if (!(error instanceof ApiError)) throw error;
  });
}

export interface ServingOptions {
  baseUrl: string;
  /** How long a caller thinks between two questions, in milliseconds. */
  thinkMs: number;
  callers: number;
}

/** Asks until it is told to stop; what was begun is brought to its end. */
export function createServing(world: TenantWorld, options: ServingOptions) {
  let asked = 0;
  const guarded = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      world.write({ line: 'failed', at: Date.now(), tenant: world.tenant, what });
    }
  };
  const askOnce = () =>
    guarded(async () => {
      asked += 1;
      const n = asked;
      const id = await infer(world, n);
      if (n % 8 === 0) await feedBack(world, id, n);
      if (n % 40 === 0) await askWrongly(world);
    });
  return {
    run: async (stopping: AbortSignal): Promise<void> => {
      const caller = async () => {
        while (!stopping.aborted) {
          await askOnce();
          await pause(options.thinkMs * (0.5 + Math.random()));
        }
      };
      await Promise.all(Array.from({ length: options.callers }, caller));
    },
    /** So many questions at once. */
    burst: (size: number): Promise<unknown> =>
      Promise.all(Array.from({ length: size }, () => askOnce())),
    /** Asks for what belongs to another tenant. */
    ask: async (part: Part, path: string): Promise<void> => {
      const { key, tenant } = world.as(part);
      const call = { method: 'GET', path };
      const status = await callApi(options.baseUrl, key, call).then(
        () => 200,
        (error: unknown) => (error instanceof ApiError ? error.status : 0),
      );
      world.write({ line: 'foreign', at: Date.now(), tenant, path, status });
    },
    asked: () => asked,
  };
}

/** New documents and new versions of old ones, and questions to the collection. */
export function createReading(world: TenantWorld, thinkMs: number) {
  let n = 0;
  const putDocument = async () => {
    const about = `paper-${world.tenant}-${n % 12}`;
    const text = `---\ntitle: ${about}\n---\n\n## Part ${n}\n\nThe ${about} says in version ${n}: ${world.canary()}.\n`;
    const form = new FormData();
    form.append('options', JSON.stringify({ key: `${about}.md` }));
    form.append('file', new Blob([text]), `${about}.md`);
    const path = `/v1/sources/${world.sourceId}/documents`;
    const call = { op: 'document', method: 'PUT', path, body: form } as const;
    await world.api.insist(world.as('steward'), call);
  };
  const query = async (mode: 'lexical' | 'dense') => {
    const text = `What says paper-${world.tenant}-${n % 12} in question ${n}?`;
    world.write({ line: 'question', digest: sha256(text) });
    const path = `/v1/collections/${world.collectionId}:query`;
    await world.post('service', { op: 'query', path, body: { text, purpose: 'support', mode } });
  };
  return async (stopping: AbortSignal): Promise<void> => {
    while (!stopping.aborted) {
      n += 1;
      try {
        await putDocument();
        await query(n % 2 === 0 ? 'lexical' : 'dense');
      } catch (error) {
        const what = error instanceof Error ? error.message : String(error);
        world.write({ line: 'failed', at: Date.now(), tenant: world.tenant, what });
      }
      await pause(thinkMs);
    }
  };
}
