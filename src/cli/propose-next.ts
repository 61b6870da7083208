import { z } from 'zod';
import type { CliOperation } from './operations-of.js';

/** A command that comes next, without `anneal` and `--as`, and the permission that it needs. */
export interface NextCommand {
  command: string;
  permission: string | undefined;
}

const trained = z.looseObject({
  state: z.literal('REGISTERED'),
  model: z.string(),
  version: z.int(),
});
const evaluated = z.looseObject({
  state: z.literal('COMPLETED'),
  id: z.string(),
  model: z.string(),
  version: z.int(),
});
const pending = z.looseObject({
  state: z.literal('PENDING'),
  id: z.string(),
  subjectDigest: z.string(),
  toAcknowledge: z.array(z.string()),
});
const approved = z.looseObject({
  state: z.literal('APPROVED'),
  id: z.string(),
  model: z.string(),
  version: z.int(),
  env: z.string(),
});
const decided = z.looseObject({ decisionId: z.string(), status: z.string() });
const killed = z.looseObject({ id: z.string(), state: z.literal('ACTIVE') });
const lifting = z.looseObject({ id: z.string(), state: z.literal('LIFT_REQUESTED') });
const named = z.looseObject({ name: z.string() });
const contract = z.looseObject({ dataset: z.string() });

const step =
  <T>(schema: z.ZodType<T>, command: (body: T) => string) =>
  (body: unknown): string | undefined => {
    const { data } = schema.safeParse(body);
    return data === undefined ? undefined : command(data);
  };

const decide = step(pending, ({ id, subjectDigest, toAcknowledge }) => {
  const names = JSON.stringify(toAcknowledge);
  const acknowledged = toAcknowledge.length === 0 ? '' : ` --set 'acknowledged=${names}'`;
  return `approvals decide ${id} --set decision=approve --set reason='<why>' --set subjectDigest=${subjectDigest}${acknowledged}`;
});
const release = step(
  approved,
  ({ id, model, version, env }) =>
    `releases create ${model} ${env} --file <plan.json> --set version=${version} --set approvalId=${id} --wait`,
);
const confirm = step(lifting, ({ id }) => `kill-switches confirm-lift ${id} --set reason='<why>'`);
const lift = step(killed, ({ id }) => `kill-switches request-lift ${id} --set reason='<why>'`);

/** What follows what, from a data set to an answer with its provenance. */
const steps: Record<string, readonly ((body: unknown) => string | undefined)[]> = {
  'datasets.put': [
    step(named, ({ name }) => `dataset-contracts create ${name} --file <contract.json>`),
  ],
  'dataset-contracts.create': [
    step(
      contract,
      ({ dataset }) =>
        `snapshots create ${dataset} --set source.format=csv --file <data.csv> --wait`,
    ),
  ],
  'training-runs.create': [
    step(
      trained,
      ({ model, version }) =>
        `evaluations create ${model} ${version} --set evaluationSnapshotId=<a snapshot to judge by> --wait`,
    ),
  ],
  'evaluations.create': [
    step(
      evaluated,
      ({ id, model, version }) =>
        `approvals request ${model} ${version} --file <request.json> --set evaluationId=${id}`,
    ),
  ],
  'approvals.request': [decide],
  'approvals.get': [decide, release],
  'approvals.decide': [decide, release],
  'inferences.create': [step(decided, ({ decisionId }) => `decisions provenance ${decisionId}`)],
  'kill-switches.create': [lift],
  'kill-switches.get': [lift, confirm],
  'kill-switches.request-lift': [confirm],
};

/** The command that usually follows an operation with this answer; undefined where nothing does. */
export function proposeNext(
  operations: readonly CliOperation[],
  id: string,
  body: unknown,
): NextCommand | undefined {
  const command = (steps[id] ?? [])
    .map((propose) => propose(body))
    .find((one) => one !== undefined);
  if (command === undefined) return undefined;
  const [noun, verb] = command.split(' ');
  const next = operations.find((one) => one.noun === noun && one.verb === verb);
  return { command, permission: next?.permission };
}

const pathPattern = (path: string): RegExp =>
  new RegExp(
    `^${path.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&').replaceAll(/\{[^{}]+\}/g, '([^/:]+)')}$`,
  );

/** The command that reads what a link names, such as `/v1/releases/rel_1`. */
export function readerOf(
  operations: readonly CliOperation[],
  link: string,
): NextCommand | undefined {
  for (const { method, path, noun, verb, permission } of operations) {
    const found = method === 'GET' ? pathPattern(path).exec(link) : null;
    if (found === null) continue;
    const values = found.slice(1).map(decodeURIComponent);
    return { command: [noun, verb, ...values].join(' '), permission };
  }
  return undefined;
}
