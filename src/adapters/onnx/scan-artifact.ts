import {
  decodeModel,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxModel,
  type OnnxTensor,
} from './onnx-messages.js';

/** Which model files are acceptable. Version ranges are inclusive. */
export interface ArtifactPolicy {
  irVersion: readonly [min: number, max: number];
  /** Allowed operator sets by domain (`''` is ai.onnx) and their versions. */
  opsets: Readonly<Record<string, readonly [min: number, max: number]>>;
  /** Allowed operators as `{domain}:{type}`; ai.onnx without a domain. */
  operators: readonly string[];
}

/** Operators of tabular classifiers: no control flow, no file access, no functions. */
const defaultArtifactPolicy: ArtifactPolicy = {
  irVersion: [3, 13],
  opsets: { '': [7, 26], 'ai.onnx.ml': [1, 4] },
  operators: [
    ...['Add', 'ArgMax', 'Cast', 'Clip', 'Concat', 'Div', 'Flatten', 'Gather', 'Gemm', 'Identity'],
    ...['MatMul', 'Mul', 'Relu', 'Reshape', 'Sigmoid', 'Slice', 'Softmax', 'Squeeze', 'Sub'],
    ...['Tanh', 'Transpose', 'Unsqueeze'],
    ...['ArrayFeatureExtractor', 'Binarizer', 'FeatureVectorizer', 'Imputer', 'LabelEncoder'].map(
      ml,
    ),
    ...['LinearClassifier', 'LinearRegressor', 'Normalizer', 'OneHotEncoder', 'Scaler'].map(ml),
    ...['TreeEnsembleClassifier', 'TreeEnsembleRegressor'].map(ml),
  ],
};

function ml(operator: string): string {
  return `ai.onnx.ml:${operator}`;
}

/** One reason why a model file is refused. */
interface ArtifactFinding {
  code:
    | 'UNREADABLE'
    | 'IR_VERSION'
    | 'OPSET'
    | 'OPERATOR'
    | 'EXTERNAL_DATA'
    | 'SUBGRAPH'
    | 'FUNCTION'
    | 'TRAINING_GRAPH';
  detail: string;
}

/** What is in a model file, and whether only what is allowed. */
export interface ArtifactScan {
  allowed: boolean;
  irVersion: number;
  opsets: { domain: string; version: number }[];
  /** Operators in use, sorted, without repeats. */
  operators: string[];
  findings: ArtifactFinding[];
}

const inside = (value: number, [min, max]: readonly [number, number]): boolean =>
  value >= min && value <= max;
// 'ai.onnx' is the long name of the default domain.
const domainOf = (domain: string | undefined): string =>
  domain === undefined || domain === 'ai.onnx' ? '' : domain;

function tensorsOfAttribute(attribute: OnnxAttribute): OnnxTensor[] {
  const sparse = [attribute.sparseTensor, ...(attribute.sparseTensors ?? [])];
  const found = [
    attribute.t,
    ...(attribute.tensors ?? []),
    ...sparse.flatMap((tensor) => [tensor?.values, tensor?.indices]),
  ];
  return found.filter((tensor) => tensor !== undefined);
}

function tensorsOf(graph: OnnxGraph): OnnxTensor[] {
  const sparse = (graph.sparseInitializer ?? []).flatMap(({ values, indices }) => [
    values,
    indices,
  ]);
  return [
    ...(graph.initializer ?? []),
    ...sparse.filter((tensor) => tensor !== undefined),
    ...(graph.node ?? []).flatMap((node) => (node.attribute ?? []).flatMap(tensorsOfAttribute)),
  ];
}

function scanGraph(graph: OnnxGraph): ArtifactFinding[] {
  const findings: ArtifactFinding[] = [];
  for (const node of graph.node ?? [])
    if (node.attribute?.some(({ g, graphs = [] }) => g !== undefined || graphs.length > 0))
      findings.push({ code: 'SUBGRAPH', detail: `${node.opType ?? ''} holds a graph of its own` });
  for (const tensor of tensorsOf(graph))
    if ((tensor.externalData?.length ?? 0) > 0 || (tensor.dataLocation ?? 0) !== 0)
      findings.push({ code: 'EXTERNAL_DATA', detail: `tensor ${tensor.name ?? ''}` });
  return findings;
}

function scanModel(model: OnnxModel, policy: ArtifactPolicy): ArtifactScan {
  const irVersion = model.irVersion ?? 0;
  const opsets = (model.opsetImport ?? []).map(({ domain, version }) => ({
    domain: domainOf(domain),
    version: version ?? 0,
  }));
  const used = (model.graph?.node ?? []).map(({ domain, opType }) => {
    const prefix = domainOf(domain);
    return prefix === '' ? (opType ?? '') : `${prefix}:${opType ?? ''}`;
  });
  const operators = [...new Set(used)].sort();
  const findings = scanGraph(model.graph ?? {});
  if (!inside(irVersion, policy.irVersion))
    findings.push({ code: 'IR_VERSION', detail: `ir_version ${irVersion}` });
  for (const { domain, version } of opsets) {
    const range = policy.opsets[domain];
    if (range === undefined || !inside(version, range))
      findings.push({ code: 'OPSET', detail: `${domain === '' ? 'ai.onnx' : domain} ${version}` });
  }
  for (const operator of operators)
    if (!policy.operators.includes(operator)) findings.push({ code: 'OPERATOR', detail: operator });
  if (operators.length === 0) findings.push({ code: 'UNREADABLE', detail: 'no operator' });
  if ((model.functions ?? []).length > 0)
    findings.push({ code: 'FUNCTION', detail: 'the file defines functions' });
  if ((model.trainingInfo ?? []).length > 0)
    findings.push({ code: 'TRAINING_GRAPH', detail: 'the file holds a training graph' });
  return { allowed: findings.length === 0, irVersion, opsets, operators, findings };
}

/**
 * Lists ir version, operator sets and operators of a model file and refuses what is not on the allow-list, and in any
 * case external data, subgraphs, functions, training graphs and bytes that are no model.
 */
export function scanArtifact(
  bytes: Uint8Array,
  policy: ArtifactPolicy = defaultArtifactPolicy,
): ArtifactScan {
  try {
    return scanModel(decodeModel(bytes), policy);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    const findings: ArtifactFinding[] = [{ code: 'UNREADABLE', detail }];
    return { allowed: false, irVersion: 0, opsets: [], operators: [], findings };
  }
}
