import type { ErrorCode, FieldError } from '../errors.js';
import type { DatasetContract } from './dataset-contract.js';
import type { Field, FieldType, Scalar } from './field.js';
import { hasType, OTHER_CATEGORY } from './field-check.js';
import type { ModelContract } from './model-contract.js';
import type { SnapshotProfile } from './profile.js';

/** What a training run asks for. */
export interface FeatureChoice {
  contract: DatasetContract;
  /** The predicted field; the label of the contract if absent. */
  target?: string | undefined;
  /** Chosen inputs; by default all fields that are not identifier, label, key, event time or protected. */
  features?: readonly string[] | undefined;
  /** Further fields to treat as protected, besides those the contract marks. */
  protectedAttributes?: readonly string[] | undefined;
  useProtected?: boolean | undefined;
}

/** A refusal with its code and the wrong fields. */
interface Refusal {
  ok: false;
  code: ErrorCode;
  errors: FieldError[];
}

const TRAINABLE: readonly FieldType[] = [
  'number',
  'integer',
  'boolean',
  'categorical',
  'string',
  'timestamp',
];

const protectedFields = (choice: FeatureChoice): Set<string> =>
  new Set([
    ...choice.contract.fields.filter((f) => f.personal === 'protected').map(({ name }) => name),
    ...(choice.protectedAttributes ?? []),
  ]);

function whyNotInput(choice: FeatureChoice, field: Field): string | undefined {
  const { contract } = choice;
  if (field.name === (choice.target ?? contract.label.field)) return 'is the label';
  if (field.name === contract.label.field) return 'is the label of the contract';
  if (field.personal === 'identifier' || field.name === contract.subjectKeyField)
    return 'is an identifier';
  if (!TRAINABLE.includes(field.type)) return `type ${field.type} cannot be an input`;
  if (choice.useProtected !== true && protectedFields(choice).has(field.name))
    return 'is protected: set useProtected';
  return undefined;
}

const isDefaultInput = (choice: FeatureChoice, field: Field): boolean =>
  !choice.contract.keyFields.includes(field.name) &&
  field.name !== choice.contract.eventTimeField &&
  whyNotInput(choice, field) === undefined;

/**
 * The input fields of a run, in contract order. Refuses with `FEATURE_UNKNOWN` and a pointer into `/features`,
 * `/protectedAttributes` or `/target` for every name that cannot be used.
 */
function chooseFeatures(choice: FeatureChoice): { ok: true; features: Field[] } | Refusal {
  const { contract } = choice;
  const byName = new Map(contract.fields.map((field) => [field.name, field]));
  const errors: FieldError[] = [];
  const refuse = (pointer: string, detail: string) =>
    errors.push({ pointer, code: 'FEATURE_UNKNOWN', detail });
  if (choice.target !== undefined && !byName.has(choice.target))
    refuse('/target', 'is not a field of the contract');
  for (const [i, name] of (choice.protectedAttributes ?? []).entries()) {
    if (!byName.has(name)) refuse(`/protectedAttributes/${i}`, 'is not a field of the contract');
  }
  for (const [i, name] of (choice.features ?? []).entries()) {
    const field = byName.get(name);
    const why = field ? whyNotInput(choice, field) : 'is not a field of the contract';
    if (why !== undefined) refuse(`/features/${i}`, why);
    else if (choice.features?.indexOf(name) !== i) refuse(`/features/${i}`, 'is listed twice');
  }
  const wanted = choice.features && new Set(choice.features);
  const features = contract.fields.filter((field) =>
    wanted ? wanted.has(field.name) : isDefaultInput(choice, field),
  );
  if (errors.length === 0 && features.length === 0) refuse('/features', 'no field is left');
  return errors.length > 0
    ? { ok: false, code: 'FEATURE_UNKNOWN', errors }
    : { ok: true, features };
}

const categoriesOf = (profile: SnapshotProfile, name: string): string[] | undefined => {
  const column = profile.columns.find(({ field }) => field === name);
  return column?.categoriesComplete === true
    ? column.categories?.map(({ value }) => value).sort()
    : undefined;
};

function inputField(field: Field, profile: SnapshotProfile): Field | undefined {
  const kept: Field = { ...field, severity: 'reject' };
  if (field.type !== 'categorical' && field.type !== 'string') return kept;
  const seen = field.enum ?? categoriesOf(profile, field.name);
  const known = seen?.filter((value) => value !== OTHER_CATEGORY);
  return known && known.length > 0 ? { ...kept, type: 'categorical', enum: [...known] } : undefined;
}

const toLabel = (type: FieldType, text: string): Scalar => {
  if (type === 'boolean') return text === 'true';
  return type === 'integer' ? Number(text) : text;
};

/** The two values of the label, negative first. */
type LabelClasses = readonly [negative: Scalar, positive: Scalar];

function labelClasses(
  choice: FeatureChoice & { positiveClass?: Scalar | undefined },
  profile: SnapshotProfile,
): { ok: true; field: Field; classes: LabelClasses } | Refusal {
  const { contract } = choice;
  const name = choice.target ?? contract.label.field;
  const refuse = (code: ErrorCode, pointer: string, detail: string): Refusal => ({
    ok: false,
    code,
    errors: [{ pointer, code, detail }],
  });
  const field = contract.fields.find((one) => one.name === name);
  if (!field) return refuse('FEATURE_UNKNOWN', '/target', 'is not a field of the contract');
  const declared = name === contract.label.field ? contract.label.positive : undefined;
  const positive = choice.positiveClass ?? declared;
  if (positive === undefined)
    return refuse('PARAMETER_INVALID', '/positiveClass', 'is required for another target');
  if (!hasType(field.type, positive))
    return refuse('PARAMETER_INVALID', '/positiveClass', `is not of type ${field.type}`);
  const seen =
    field.type === 'integer' ? integerClasses(profile, field) : categoriesOf(profile, name);
  const values = seen?.map((text) => toLabel(field.type, text)) ?? [];
  if (seen && values.length < 2)
    return refuse('LABEL_SINGLE_CLASS', '/target', 'only one class occurs in the snapshot');
  const [negative, ...more] = values.filter((value) => value !== positive);
  if (negative === undefined || more.length > 0 || values.length !== 2)
    return refuse('PARAMETER_INVALID', '/target', 'must have exactly two classes, one positive');
  return { ok: true, field, classes: [negative, positive] };
}

/** Two whole numbers are read from the extremes of the column: a third value shows in `distinct`. */
function integerClasses(profile: SnapshotProfile, field: Field): string[] | undefined {
  const column = profile.columns.find((one) => one.field === field.name);
  if (!column?.number || column.distinct > 2) return undefined;
  const { min, max } = column.number;
  return min === max ? [String(min)] : [String(min), String(max)];
}

/** A derived contract with what a trainer needs beside it. */
export type DerivedContract =
  { ok: true; contract: ModelContract; target: string; classes: LabelClasses } | Refusal;

/**
 * Derives the contract of a binary classifier. Inputs: the chosen fields; a category without an enum in the data set
 * contract gets the categories of the snapshot. Outputs: `label` (negative, positive) and `probability` of the
 * positive class, 0–1. Refuses with `FEATURE_UNKNOWN`, `LABEL_SINGLE_CLASS` or `PARAMETER_INVALID`.
 */
export function deriveModelContract(
  choice: FeatureChoice & { positiveClass?: Scalar | undefined },
  profile: SnapshotProfile,
): DerivedContract {
  const chosen = chooseFeatures(choice);
  if (!chosen.ok) return chosen;
  const label = labelClasses(choice, profile);
  if (!label.ok) return label;
  const inputs = chosen.features.map((field) => inputField(field, profile));
  const errors = inputs.flatMap((input, i): FieldError[] => {
    const field = chosen.features[i];
    if (input || !field) return [];
    const at = choice.features?.indexOf(field.name);
    const pointer = at === undefined || at < 0 ? '/features' : `/features/${at}`;
    const detail = `${field.name} has no categories, or more than 1,000`;
    return [{ pointer, code: 'FEATURE_UNKNOWN', detail }];
  });
  if (errors.length > 0) return { ok: false, code: 'FEATURE_UNKNOWN', errors };
  const base: Omit<Field, 'name' | 'type'> = {
    nullable: false,
    personal: 'none',
    severity: 'reject',
    onMissing: 'reject',
    onUnknownCategory: 'reject',
  };
  const type = label.field.type === 'string' ? 'categorical' : label.field.type;
  const contract: ModelContract = {
    input: { fields: inputs.filter((input) => input !== undefined) },
    output: {
      fields: [
        {
          ...base,
          name: 'label',
          type,
          ...(type === 'boolean' ? {} : { enum: [...label.classes] }),
        },
        { ...base, name: 'probability', type: 'number', min: 0, max: 1 },
      ],
    },
  };
  return { ok: true, contract, target: label.field.name, classes: label.classes };
}
