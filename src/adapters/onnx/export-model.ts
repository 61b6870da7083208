import type {
  GbtModel,
  LogisticModel,
  ModelField,
  TrainedModel,
  TreeNode,
} from '../../domain/training/trained-model.js';
import {
  attributeType,
  encodeModel,
  tensorType,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValueInfo,
} from './onnx-messages.js';

/** Versions that the exporter writes; all accepted by onnxruntime 1.30 (opset 7–26, ir 3–13, ml 1–5). */
const IR_VERSION = 8;
const OPSET = 17;
const ML_OPSET = 3;
const ML_DOMAIN = 'ai.onnx.ml';
/** Metadata key under which an artifact describes its raw fields and classes. */
export const DESCRIPTION_KEY = 'anneal.model';

/** What an artifact says about itself: which raw field feeds which input, and the class names. */
export interface ArtifactDescription {
  format: 1;
  trainer: string;
  classes: [negative: string, positive: string];
  fields: { name: string; type: string; input: string }[];
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const attribute = {
  int: (name: string, i: number): OnnxAttribute => ({ name, type: attributeType.int, i }),
  string: (name: string, s: string): OnnxAttribute => ({
    name,
    type: attributeType.string,
    s: utf8(s),
  }),
  floats: (name: string, floats: number[]): OnnxAttribute => ({
    name,
    type: attributeType.floats,
    floats,
  }),
  ints: (name: string, ints: number[]): OnnxAttribute => ({ name, type: attributeType.ints, ints }),
  strings: (name: string, strings: readonly string[]): OnnxAttribute => ({
    name,
    type: attributeType.strings,
    strings: strings.map(utf8),
  }),
};

/** A graph under construction. Inner values are named with a slash, which no input name contains. */
interface GraphParts {
  nodes: OnnxNode[];
  initializers: OnnxTensor[];
}

function append(parts: GraphParts, opType: string, node: OnnxNode): string {
  parts.nodes.push({ name: `node/${parts.nodes.length}`, opType, ...node });
  return node.output?.[0] ?? '';
}

/** Input names that keep to letters, digits and underscores, distinct and apart from the outputs. */
export function inputNames(names: readonly string[]): string[] {
  const taken = new Set(['label', 'probabilities']);
  return names.map((name) => {
    const plain = name.replaceAll(/[^A-Za-z0-9_]/g, '_').replace(/^(?=[0-9]|$)/, 'f');
    let unique = plain;
    for (let n = 2; taken.has(unique); n++) unique = `${plain}_${n}`;
    taken.add(unique);
    return unique;
  });
}

function oneHot(parts: GraphParts, input: string, categories: readonly string[]): string {
  const expanded = append(parts, 'OneHotEncoder', {
    domain: ML_DOMAIN,
    input: [input],
    output: [`${input}/one_hot`],
    attribute: [attribute.strings('cats_strings', categories), attribute.int('zeros', 1)],
  });
  return append(parts, 'Flatten', {
    input: [expanded],
    output: [`${input}/flat`],
    attribute: [attribute.int('axis', 1)],
  });
}

const concat = (parts: GraphParts, input: string[], output: string): string =>
  append(parts, 'Concat', { input, output: [output], attribute: [attribute.int('axis', 1)] });

/** Sub, Div and Cast in float64: numbers as large as epoch milliseconds lose digits in a float Scaler. */
function standardiseDouble(
  parts: GraphParts,
  input: string,
  scale: { mean: number; deviation: number },
): string {
  for (const [part, value] of Object.entries(scale))
    parts.initializers.push({
      name: `${input}/${part}`,
      dims: [1],
      dataType: tensorType.double,
      doubleData: [value],
    });
  const centred = append(parts, 'Sub', {
    input: [input, `${input}/mean`],
    output: [`${input}/centred`],
  });
  const scaled = append(parts, 'Div', {
    input: [centred, `${input}/deviation`],
    output: [`${input}/scaled`],
  });
  return append(parts, 'Cast', {
    input: [scaled],
    output: [`${input}/float`],
    attribute: [attribute.int('to', tensorType.float)],
  });
}

const CLASSIFIER_OUTPUTS = { domain: ML_DOMAIN, output: ['label', 'probabilities'] };

function logisticNodes(model: LogisticModel, inputs: readonly string[]): GraphParts {
  const parts: GraphParts = { nodes: [], initializers: [] };
  const fields = model.fields.map((field, at) => ({ field, input: inputs[at] ?? '' }));
  const numbers = fields.flatMap(({ field, input }) =>
    field.kind === 'numeric' ? [{ ...field, at: input }] : [],
  );
  const floats = numbers.filter((field) => field.input === 'float');
  const blocks: string[] = [];
  const weights: number[] = [];
  if (floats.length > 0) {
    const joined = concat(
      parts,
      floats.map(({ at }) => at),
      'numbers/joined',
    );
    const scaled = append(parts, 'Scaler', {
      domain: ML_DOMAIN,
      input: [joined],
      output: ['numbers/scaled'],
      attribute: [
        attribute.floats(
          'offset',
          floats.map(({ mean }) => mean),
        ),
        attribute.floats(
          'scale',
          floats.map(({ deviation }) => 1 / deviation),
        ),
      ],
    });
    blocks.push(scaled);
    weights.push(...floats.map(({ weight }) => weight));
  }
  for (const { at, input, mean, deviation, weight } of numbers) {
    if (input !== 'double') continue;
    blocks.push(standardiseDouble(parts, at, { mean, deviation }));
    weights.push(weight);
  }
  for (const { field, input } of fields) {
    if (field.kind !== 'categorical') continue;
    blocks.push(oneHot(parts, input, field.categories));
    weights.push(...field.weights);
  }
  append(parts, 'LinearClassifier', {
    ...CLASSIFIER_OUTPUTS,
    input: [concat(parts, blocks, 'features/joined')],
    attribute: [
      attribute.floats('coefficients', [...weights.map((w) => -w), ...weights]),
      attribute.floats('intercepts', [-model.intercept, model.intercept]),
      attribute.strings('classlabels_strings', model.classes),
      attribute.int('multi_class', 0),
      attribute.string('post_transform', 'LOGISTIC'),
    ],
  });
  return parts;
}

/** Column of a field in the joined features: its number, or the first of its categories. */
function columnOffsets(fields: readonly ModelField[]): number[] {
  let next = 0;
  const offsets = new Array<number>(fields.length).fill(0);
  for (const kind of ['numeric', 'categorical'] as const)
    for (const [at, field] of fields.entries()) {
      if (field.kind !== kind) continue;
      offsets[at] = next;
      next += field.kind === 'numeric' ? 1 : field.categories.length;
    }
  return offsets;
}

/** One node as the parallel lists of TreeEnsembleClassifier hold it. Rows with feature ≤ value take the true branch. */
function branchOf(node: TreeNode, offsets: readonly number[]) {
  if (node.kind === 'leaf')
    return { mode: 'LEAF', feature: 0, value: 0, whenTrue: 0, whenFalse: 0 };
  const at = offsets[node.field] ?? 0;
  const ids = { whenTrue: node.left, whenFalse: node.right };
  return node.kind === 'threshold'
    ? { mode: 'BRANCH_LEQ', feature: at, value: node.threshold, ...ids }
    : { mode: 'BRANCH_LEQ', feature: at + node.category, value: 0.5, ...ids };
}

function treeAttributes(model: GbtModel): OnnxAttribute[] {
  const offsets = columnOffsets(model.fields);
  const nodes = model.trees.flatMap((tree, treeId) =>
    tree.map((node, nodeId) => ({ treeId, nodeId, node, ...branchOf(node, offsets) })),
  );
  // The base score lives in the leaves of tree 0: `base_values` are wrong in every binary form of this runtime.
  const leaves = nodes.flatMap(({ node, treeId, nodeId }) =>
    node.kind === 'leaf'
      ? [{ treeId, nodeId, value: node.value + (treeId === 0 ? model.baseScore : 0) }]
      : [],
  );
  return [
    attribute.ints(
      'nodes_treeids',
      nodes.map(({ treeId }) => treeId),
    ),
    attribute.ints(
      'nodes_nodeids',
      nodes.map(({ nodeId }) => nodeId),
    ),
    attribute.ints(
      'nodes_featureids',
      nodes.map(({ feature }) => feature),
    ),
    attribute.floats(
      'nodes_values',
      nodes.map(({ value }) => value),
    ),
    attribute.floats(
      'nodes_hitrates',
      nodes.map(({ node }) => node.cover),
    ),
    attribute.strings(
      'nodes_modes',
      nodes.map(({ mode }) => mode),
    ),
    attribute.ints(
      'nodes_truenodeids',
      nodes.map(({ whenTrue }) => whenTrue),
    ),
    attribute.ints(
      'nodes_falsenodeids',
      nodes.map(({ whenFalse }) => whenFalse),
    ),
    // Two weights per leaf: with one class id the label can be wrong although the probability is right.
    attribute.ints(
      'class_treeids',
      leaves.flatMap(({ treeId }) => [treeId, treeId]),
    ),
    attribute.ints(
      'class_nodeids',
      leaves.flatMap(({ nodeId }) => [nodeId, nodeId]),
    ),
    attribute.ints(
      'class_ids',
      leaves.flatMap(() => [0, 1]),
    ),
    attribute.floats(
      'class_weights',
      leaves.flatMap(({ value }) => [-value, value]),
    ),
    attribute.strings('classlabels_strings', model.classes),
    attribute.string('post_transform', 'LOGISTIC'),
  ];
}

function gbtNodes(model: GbtModel, inputs: readonly string[]): GraphParts {
  const parts: GraphParts = { nodes: [], initializers: [] };
  const numbers = inputs.filter((_, at) => model.fields[at]?.kind === 'numeric');
  const blocks = [...numbers];
  for (const [at, field] of model.fields.entries())
    if (field.kind === 'categorical')
      blocks.push(oneHot(parts, inputs[at] ?? '', field.categories));
  append(parts, 'TreeEnsembleClassifier', {
    ...CLASSIFIER_OUTPUTS,
    input: [concat(parts, blocks, 'features/joined')],
    attribute: treeAttributes(model),
  });
  return parts;
}

const valueInfo = (name: string, elemType: number, width?: number): OnnxValueInfo => ({
  name,
  type: {
    tensorType: {
      elemType,
      shape: { dim: [{ dimParam: 'N' }, ...(width === undefined ? [] : [{ dimValue: width }])] },
    },
  },
});

const elementType = (field: ModelField): number =>
  field.kind === 'categorical' ? tensorType.string : tensorType[field.input];

/**
 * Writes a trained model as ONNX (ir 8, opset 17, ai.onnx.ml 3): one `[N,1]` input per raw field, scaling and one-hot
 * inside the graph; outputs `label` (string `[N]`) and `probabilities` (float `[N,2]`, the positive class second). The
 * bytes hold no time and no name of a machine: equal models give equal bytes.
 */
export function exportModel(model: TrainedModel): Uint8Array {
  const inputs = inputNames(model.fields.map(({ name }) => name));
  const { nodes, initializers } =
    model.kind === 'logistic' ? logisticNodes(model, inputs) : gbtNodes(model, inputs);
  const description: ArtifactDescription = {
    format: 1,
    trainer: model.trainerVersion,
    classes: [...model.classes],
    fields: model.fields.map(({ name, type }, at) => ({ name, type, input: inputs[at] ?? '' })),
  };
  const graph: OnnxGraph = {
    name: model.kind,
    node: nodes,
    initializer: initializers,
    input: model.fields.map((field, at) => valueInfo(inputs[at] ?? '', elementType(field), 1)),
    output: [
      valueInfo('label', tensorType.string),
      valueInfo('probabilities', tensorType.float, 2),
    ],
  };
  return encodeModel({
    irVersion: IR_VERSION,
    producerName: 'anneal',
    producerVersion: model.trainerVersion,
    graph,
    opsetImport: [
      { domain: '', version: OPSET },
      { domain: ML_DOMAIN, version: ML_OPSET },
    ],
    metadataProps: [{ key: DESCRIPTION_KEY, value: JSON.stringify(description) }],
  });
}
