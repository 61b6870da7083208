import type { DatasetContract } from '../datasets/dataset-contract.js';
import { deriveModelContract } from '../datasets/derive-model-contract.js';
import type { ModelContract } from '../datasets/model-contract.js';
import type { SnapshotProfile } from '../datasets/profile.js';
import type { ErrorCode, FieldError } from '../errors.js';
import type { LabelValue } from '../registry/contract.js';
import type { StartTraining, TrainingPlan } from './contract.js';
import { checkSplit, type SplitPlan } from './split-plan.js';
import { parseTrainerParams } from './trainer-params.js';

/** A snapshot as a run sees it before it starts. */
export interface SnapshotGround {
  snapshotId: string;
  state: string;
  purposes: readonly string[];
  contractId: string;
  contract: DatasetContract;
  profile: SnapshotProfile;
}

/** What is there when a run is asked for; undefined where a named thing does not exist. */
export interface TrainingGround {
  model:
    | {
        name: string;
        purpose: string;
        outcome: { type: string; labels?: LabelValue[] | undefined };
        /** Versions 1 … versions exist. */
        versions: number;
      }
    | undefined;
  snapshot: SnapshotGround | undefined;
  evaluationSnapshot: SnapshotGround | undefined;
}

/** A refusal with its code, a line for the caller, the wrong fields and the members of the problem document. */
export interface TrainingRefusal {
  ok: false;
  code: ErrorCode;
  message: string;
  errors: FieldError[];
  extensions: Record<string, unknown>;
}

export type TrainingPlanOutcome = { ok: true; plan: TrainingPlan } | TrainingRefusal;

const refuse = (
  code: ErrorCode,
  message: string,
  more: { errors?: FieldError[]; extensions?: Record<string, unknown> } = {},
): TrainingRefusal => ({
  ok: false,
  code,
  message,
  errors: more.errors ?? [],
  extensions: more.extensions ?? {},
});

/**
 * Whether a snapshot may be trained on for a purpose: it is LIVE (`SNAPSHOT_NOT_LIVE`) and its purposes cover it
 * (`PURPOSE_DENIED`). Asked at the request, at admission and again at registration: consent can end in between.
 */
export function checkSnapshotUse(
  snapshot: { snapshotId: string; state: string; purposes: readonly string[] },
  use: { purpose: string; pointer: string },
): TrainingRefusal | undefined {
  const { snapshotId, state, purposes } = snapshot;
  const at = (code: string): FieldError[] => [{ pointer: use.pointer, code }];
  if (state !== 'LIVE')
    return refuse('SNAPSHOT_NOT_LIVE', `The snapshot is ${state}; only LIVE ones are trained on.`, {
      errors: at('SNAPSHOT_NOT_LIVE'),
      extensions: { snapshotId, state },
    });
  if (!purposes.includes(use.purpose))
    return refuse('PURPOSE_DENIED', `The snapshot may not be used for ${use.purpose}.`, {
      errors: at('PURPOSE_DENIED'),
      extensions: { snapshotId, purpose: use.purpose, allowed: [...purposes] },
    });
  return undefined;
}

/** The evaluation rows must hold every input and the label under the names and types that were trained on. */
function checkEvaluationFields(
  training: DatasetContract,
  evaluation: DatasetContract,
  names: readonly string[],
): FieldError[] {
  const typeOf = (contract: DatasetContract, name: string) =>
    contract.fields.find((field) => field.name === name)?.type;
  return names.flatMap((name) => {
    const expected = typeOf(training, name);
    const found = typeOf(evaluation, name);
    if (found === expected) return [];
    const detail = `${name} is ${found ?? 'missing'} there, ${expected ?? 'missing'} in training`;
    return [{ pointer: '/evaluationSnapshotId', code: 'FEATURE_UNKNOWN', detail }];
  });
}

const defaultSplit = (hasEvaluationSnapshot: boolean): SplitPlan =>
  hasEvaluationSnapshot
    ? { strategy: 'provided', fractionsBp: [], salt: '' }
    : { strategy: 'holdout', fractionsBp: [8_000, 2_000], salt: '' };

function splitErrors(
  request: StartTraining,
  split: SplitPlan,
  contract: DatasetContract,
): FieldError[] {
  const errors = checkSplit(split, {
    hasEvaluationSnapshot: request.evaluationSnapshotId !== undefined,
    hasEventTime: contract.eventTimeField !== undefined,
  });
  if (split.strategy === 'provided' && request.evaluationSnapshotId === request.snapshotId)
    errors.push({
      pointer: '/evaluationSnapshotId',
      code: 'SAME_SNAPSHOT',
      detail: 'the training rows cannot be held out',
    });
  return errors;
}

/** Parameters that are wrong whatever the data is. */
function checkParameters(request: StartTraining): TrainingRefusal | undefined {
  if (request.budget.maxWallClockMs === 0)
    return refuse('BUDGET_EXCEEDED', 'The budget leaves no time to train.', {
      errors: [{ pointer: '/budget/maxWallClockMs', code: 'BUDGET_EXCEEDED' }],
    });
  if ((request.resources?.gpu ?? 0) > 0)
    return refuse('PARAMETER_INVALID', 'This installation has no GPU pool.', {
      errors: [{ pointer: '/resources/gpu', code: 'UNAVAILABLE', detail: 'must be 0' }],
    });
  return undefined;
}

function checkOutcome(
  model: NonNullable<TrainingGround['model']>,
  classes: readonly [LabelValue, LabelValue],
): TrainingRefusal | undefined {
  const { type, labels } = model.outcome;
  if (type !== 'binary')
    return refuse('TRAINER_UNAVAILABLE', `No trainer here learns an outcome of type ${type}.`);
  const known = labels?.map(String).sort().join('\0');
  if (known === undefined || known === classes.map(String).sort().join('\0')) return undefined;
  return refuse('PARAMETER_INVALID', 'The label has other classes than the model declares.', {
    errors: [
      { pointer: '/target', code: 'OUTCOME_DIFFERS', detail: 'see the outcome of the model' },
    ],
  });
}

/** Protected fields that evaluation needs: those the contract marks and those the request names, in contract order. */
function protectedNames(contract: DatasetContract, requested: readonly string[]): string[] {
  return contract.fields
    .filter(({ name, personal }) => personal === 'protected' || requested.includes(name))
    .map(({ name }) => name);
}

function checkSnapshots(
  request: StartTraining,
  ground: { snapshot: SnapshotGround; evaluationSnapshot: SnapshotGround | undefined },
  purpose: string,
): TrainingRefusal | undefined {
  const use = { purpose, pointer: '/snapshotId' };
  const refused = checkSnapshotUse(ground.snapshot, use);
  if (refused !== undefined || request.evaluationSnapshotId === undefined) return refused;
  if (ground.evaluationSnapshot === undefined) return unknownSnapshot('/evaluationSnapshotId');
  return checkSnapshotUse(ground.evaluationSnapshot, { purpose, pointer: '/evaluationSnapshotId' });
}

const unknownSnapshot = (pointer: string): TrainingRefusal =>
  refuse('NOT_FOUND', 'There is no such snapshot.', { errors: [{ pointer, code: 'NOT_FOUND' }] });

interface Ready {
  model: NonNullable<TrainingGround['model']>;
  snapshot: SnapshotGround;
  purpose: string;
}

/** Everything that must exist and be allowed before fields are looked at. */
function checkGround(request: StartTraining, ground: TrainingGround): Ready | TrainingRefusal {
  const { model, snapshot } = ground;
  if (model === undefined)
    return refuse('MODEL_NOT_FOUND', 'There is no model of this name; register it first.');
  const purpose = request.purpose ?? model.purpose;
  if (purpose !== model.purpose)
    return refuse('PURPOSE_DENIED', `The model is for ${model.purpose} only.`, {
      errors: [{ pointer: '/purpose', code: 'PURPOSE_DENIED' }],
      extensions: { purpose, allowed: [model.purpose] },
    });
  if (snapshot === undefined) return unknownSnapshot('/snapshotId');
  const refused = checkSnapshots(
    request,
    { snapshot, evaluationSnapshot: ground.evaluationSnapshot },
    purpose,
  );
  if (refused !== undefined) return refused;
  if (request.parentVersion !== undefined && request.parentVersion > model.versions)
    return refuse('PARAMETER_INVALID', 'There is no such parent version.', {
      errors: [{ pointer: '/parentVersion', code: 'NOT_FOUND' }],
    });
  return { model, snapshot, purpose };
}

/** The contract of the model that a plan leads to; the same for the same snapshot and plan. */
export function modelContractOf(
  plan: Pick<
    TrainingPlan,
    'target' | 'classes' | 'features' | 'protectedAttributes' | 'useProtected'
  >,
  ground: { contract: DatasetContract; profile: SnapshotProfile },
): ModelContract | undefined {
  const derived = deriveModelContract(
    {
      contract: ground.contract,
      target: plan.target,
      positiveClass: plan.classes[1],
      features: plan.features,
      protectedAttributes: plan.protectedAttributes,
      useProtected: plan.useProtected,
    },
    ground.profile,
  );
  if (!derived.ok) return undefined;
  const fields = derived.contract.input.fields.map((field) => {
    // These trainers learn nothing for a missing number; accepting one would answer NaN.
    const isNumber = ['number', 'integer', 'timestamp'].includes(field.type);
    return isNumber ? { ...field, nullable: false } : field;
  });
  return { ...derived.contract, input: { fields } };
}

/**
 * Decides whether a run may start and fills in every default. Refusals: `TRAINER_UNAVAILABLE`, `MODEL_NOT_FOUND`,
 * `NOT_FOUND` (snapshot), `PURPOSE_DENIED`, `SNAPSHOT_NOT_LIVE` with the state, `BUDGET_EXCEEDED`, `PARAMETER_INVALID`,
 * `SPLIT_INVALID`, `FEATURE_UNKNOWN`, `LABEL_SINGLE_CLASS`; wrong fields are named by pointer.
 */
export function planTraining(request: StartTraining, ground: TrainingGround): TrainingPlanOutcome {
  const { trainer: asked } = request;
  if (asked.kind !== 'logistic' && asked.kind !== 'gbt')
    return refuse('TRAINER_UNAVAILABLE', `The trainer ${asked.kind} is not installed here.`, {
      errors: [{ pointer: '/trainer/kind', code: 'TRAINER_UNAVAILABLE' }],
    });
  const ready = checkGround(request, ground);
  if ('ok' in ready) return ready;
  const wrong = checkParameters(request);
  if (wrong !== undefined) return wrong;
  const trainer = parseTrainerParams(asked.kind, asked.params);
  if (!trainer.ok)
    return refuse(trainer.code, 'The trainer does not take these parameters.', trainer);
  const { model, snapshot, purpose } = ready;
  const split = request.split ?? defaultSplit(request.evaluationSnapshotId !== undefined);
  const errors = splitErrors(request, split, snapshot.contract);
  if (errors.length > 0)
    return refuse('SPLIT_INVALID', 'The rows cannot be divided like this.', { errors });
  const derived = deriveModelContract(
    { ...request, contract: snapshot.contract },
    snapshot.profile,
  );
  if (!derived.ok) return refuse(derived.code, 'The fields do not fit the snapshot.', derived);
  const features = derived.contract.input.fields.map(({ name }) => name);
  const [negative, positive] = derived.classes;
  const outcome = checkOutcome(model, [negative, positive]);
  if (outcome !== undefined) return outcome;
  const missing = ground.evaluationSnapshot
    ? checkEvaluationFields(snapshot.contract, ground.evaluationSnapshot.contract, [
        ...features,
        derived.target,
      ])
    : [];
  if (missing.length > 0)
    return refuse('FEATURE_UNKNOWN', 'The evaluation snapshot lacks fields.', { errors: missing });
  const { evaluationSnapshotId, codeRef, resources, parentVersion, experiment } = request;
  return {
    ok: true,
    plan: {
      model: model.name,
      purpose,
      snapshotId: request.snapshotId,
      evaluationSnapshotId,
      datasetContractId: snapshot.contractId,
      target: derived.target,
      classes: [negative, positive],
      features,
      protectedAttributes: protectedNames(snapshot.contract, request.protectedAttributes),
      useProtected: request.useProtected,
      trainer: trainer.trainer,
      seed: request.seed,
      split,
      codeRef,
      resources,
      budget: request.budget,
      parentVersion,
      reason: request.reason,
      experiment,
    },
  };
}
