import {
  categoryOf,
  numericValue,
  type FeatureType,
  type RawRow,
  type TrainingTable,
} from './training-table.js';

/** A numeric input. `double` fields are standardised in float64, others are rounded to float32 first. */
interface NumericModelField {
  kind: 'numeric';
  name: string;
  type: FeatureType;
  input: 'float' | 'double';
}

/** A category input; an unknown category is an all-zero block. */
interface CategoricalModelField {
  kind: 'categorical';
  name: string;
  type: FeatureType;
  categories: readonly string[];
}

export type ModelField = NumericModelField | CategoricalModelField;

/** Names of the negative and the positive class, in this order. */
export type ModelClasses = readonly [negative: string, positive: string];

interface TrainedModelBase {
  trainerVersion: string;
  classes: ModelClasses;
}

/** Term of a numeric field: weight · (x − mean) / deviation; deviation > 0. */
type LogisticNumericTerm = NumericModelField & {
  mean: number;
  deviation: number;
  weight: number;
};
/** Term of a category field: the weight of the row's category, else 0. */
type LogisticCategoricalTerm = CategoricalModelField & { weights: readonly number[] };

/** log-odds = intercept + Σ terms. */
export interface LogisticModel extends TrainedModelBase {
  kind: 'logistic';
  intercept: number;
  fields: readonly (LogisticNumericTerm | LogisticCategoricalTerm)[];
}

/** `cover` is the number of training rows that reached the node; path-dependent Shapley values need it. */
export type TreeNode =
  | { kind: 'leaf'; value: number; cover: number }
  | {
      kind: 'threshold';
      field: number;
      /** Rows with x ≤ threshold go left. */
      threshold: number;
      left: number;
      right: number;
      cover: number;
    }
  | {
      kind: 'category';
      field: number;
      /** Rows of this category go right, all others left. */
      category: number;
      left: number;
      right: number;
      cover: number;
    };

/** Nodes of one tree; the root is node 0, `left` and `right` are indexes into the same array. */
export type Tree = readonly TreeNode[];

/** log-odds = baseScore + Σ leaf values. */
export interface GbtModel extends TrainedModelBase {
  kind: 'gbt';
  baseScore: number;
  fields: readonly ModelField[];
  trees: readonly Tree[];
}

/** What a trainer learned, as plain data: survives JSON without a changed bit. */
export type TrainedModel = LogisticModel | GbtModel;

/** Logistic function 1 / (1 + e^−x), without overflow for large |x|. */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

/** −log-likelihood of label y (0 or 1) at log-odds x: log(1 + e^x) − y·x, without overflow. */
export const logLossOf = (x: number, y: number): number =>
  Math.log1p(Math.exp(-Math.abs(x))) + Math.max(0, x) - y * x;

/** Values of the model's fields for one row: the number, or the category's code (−1 unknown). */
export type EncodedRow = ArrayLike<number>;

/** The number as the model sees it: float32 unless the field is standardised in float64. */
export const inputNumber = (value: number, input: 'float' | 'double'): number =>
  input === 'float' ? Math.fround(value) : value;

function logisticLogOdds(model: LogisticModel, row: EncodedRow): number {
  let sum = model.intercept;
  for (let f = 0; f < model.fields.length; f++) {
    const term = model.fields[f];
    const value = row[f] ?? Number.NaN;
    if (term === undefined) continue;
    sum +=
      term.kind === 'numeric'
        ? ((value - term.mean) / term.deviation) * term.weight
        : (term.weights[value] ?? 0);
  }
  return sum;
}

/** Value of the leaf that a row reaches. */
export function leafValue(tree: Tree, row: EncodedRow): number {
  let node = tree[0];
  while (node !== undefined && node.kind !== 'leaf') {
    const value = row[node.field] ?? Number.NaN;
    const left = node.kind === 'threshold' ? value <= node.threshold : value !== node.category;
    node = tree[left ? node.left : node.right];
  }
  return node?.value ?? Number.NaN;
}

function logOddsOf(model: TrainedModel, row: EncodedRow): number {
  if (model.kind === 'logistic') return logisticLogOdds(model, row);
  let sum = model.baseScore;
  for (const tree of model.trees) sum += leafValue(tree, row);
  return sum;
}

/**
 * Compiles a model into a float64 reference of P(positive class) for raw rows. A missing number gives NaN; an unknown
 * category is an all-zero block: the input contract refuses both before a served model sees them.
 */
export function createPredictor(model: TrainedModel): (row: RawRow) => number {
  const encoded = new Float64Array(model.fields.length);
  const codes = model.fields.map((field) =>
    field.kind === 'categorical'
      ? new Map(field.categories.map((category, code) => [category, code]))
      : undefined,
  );
  return (row) => {
    for (const [f, field] of model.fields.entries()) {
      const value = row[field.name];
      encoded[f] =
        field.kind === 'numeric'
          ? inputNumber(numericValue(value, field.type), field.input)
          : (codes[f]?.get(categoryOf(value)) ?? -1);
    }
    return sigmoid(logOddsOf(model, encoded));
  };
}

/** P(positive class) of one raw row in float64; see {@link createPredictor} for many rows. */
export const predictProbability = (model: TrainedModel, row: RawRow): number =>
  createPredictor(model)(row);

/** P(positive class) of every row of a table whose columns and category codes are those the model was trained on. */
export function predictTable(model: TrainedModel, table: TrainingTable): Float64Array {
  const columns = model.fields.map((field) => columnOf(table, field));
  const encoded = new Float64Array(columns.length);
  const result = new Float64Array(table.rowCount);
  for (let i = 0; i < table.rowCount; i++) {
    for (let f = 0; f < columns.length; f++) encoded[f] = columns[f]?.[i] ?? Number.NaN;
    result[i] = sigmoid(logOddsOf(model, encoded));
  }
  return result;
}

/** Values of one model field over all rows of a table: numbers as the model sees them, or category codes. */
export function columnOf(table: TrainingTable, field: ModelField): ArrayLike<number> {
  if (field.kind === 'categorical')
    return table.categorical.find(({ name }) => name === field.name)?.codes ?? [];
  const column = table.numeric.find(({ name }) => name === field.name);
  return column?.values.map((value) => inputNumber(value, field.input)) ?? [];
}
