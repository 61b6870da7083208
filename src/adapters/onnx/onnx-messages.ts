import protobuf from 'protobufjs';

/** Element types of tensors (TensorProto.DataType). */
export const tensorType = {
  float: 1,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  double: 11,
} as const;

/** Kinds of attributes (AttributeProto.AttributeType); a node whose attributes lack it does not load. */
export const attributeType = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  floats: 6,
  ints: 7,
  strings: 8,
} as const;

export interface OnnxTensor {
  dims?: number[];
  dataType?: number;
  doubleData?: number[];
  name?: string;
  externalData?: { key?: string; value?: string }[];
  dataLocation?: number;
}

export interface OnnxAttribute {
  name: string;
  type: number;
  f?: number;
  i?: number;
  s?: Uint8Array;
  t?: OnnxTensor;
  g?: OnnxGraph;
  floats?: number[];
  ints?: number[];
  strings?: Uint8Array[];
  tensors?: OnnxTensor[];
  graphs?: OnnxGraph[];
  sparseTensor?: OnnxSparseTensor;
  sparseTensors?: OnnxSparseTensor[];
}

interface OnnxSparseTensor {
  values?: OnnxTensor;
  indices?: OnnxTensor;
}

export interface OnnxNode {
  input?: string[];
  output?: string[];
  name?: string;
  opType?: string;
  attribute?: OnnxAttribute[];
  domain?: string;
}

export interface OnnxValueInfo {
  name: string;
  type?: {
    tensorType?: {
      elemType?: number;
      shape?: { dim?: { dimValue?: number; dimParam?: string }[] };
    };
  };
}

export interface OnnxGraph {
  node?: OnnxNode[];
  name?: string;
  initializer?: OnnxTensor[];
  sparseInitializer?: OnnxSparseTensor[];
  input?: OnnxValueInfo[];
  output?: OnnxValueInfo[];
}

/** A model file, as far as we write and judge it. */
export interface OnnxModel {
  irVersion?: number;
  producerName?: string;
  producerVersion?: string;
  graph?: OnnxGraph;
  opsetImport?: { domain?: string; version?: number }[];
  metadataProps?: { key?: string; value?: string }[];
  trainingInfo?: object[];
  functions?: object[];
}

const field = (id: number, type: string) => ({ id, type });
const many = (id: number, type: string) => ({ id, type, rule: 'repeated' as const });

// Field numbers are those of the ONNX standard (onnx/onnx.proto). Where a message could carry something that a scan must
// refuse (external data, subgraphs, functions, training graphs), the field is described although we never write it.
const messages = {
  ModelProto: {
    irVersion: field(1, 'int64'),
    producerName: field(2, 'string'),
    producerVersion: field(3, 'string'),
    graph: field(7, 'GraphProto'),
    opsetImport: many(8, 'OperatorSetIdProto'),
    metadataProps: many(14, 'StringStringEntryProto'),
    trainingInfo: many(20, 'TrainingInfoProto'),
    functions: many(25, 'FunctionProto'),
  },
  OperatorSetIdProto: { domain: field(1, 'string'), version: field(2, 'int64') },
  StringStringEntryProto: { key: field(1, 'string'), value: field(2, 'string') },
  TrainingInfoProto: {},
  FunctionProto: { name: field(1, 'string') },
  GraphProto: {
    node: many(1, 'NodeProto'),
    name: field(2, 'string'),
    initializer: many(5, 'TensorProto'),
    input: many(11, 'ValueInfoProto'),
    output: many(12, 'ValueInfoProto'),
    sparseInitializer: many(15, 'SparseTensorProto'),
  },
  NodeProto: {
    input: many(1, 'string'),
    output: many(2, 'string'),
    name: field(3, 'string'),
    opType: field(4, 'string'),
    attribute: many(5, 'AttributeProto'),
    domain: field(7, 'string'),
  },
  AttributeProto: {
    name: field(1, 'string'),
    f: field(2, 'float'),
    i: field(3, 'int64'),
    s: field(4, 'bytes'),
    t: field(5, 'TensorProto'),
    g: field(6, 'GraphProto'),
    floats: many(7, 'float'),
    ints: many(8, 'int64'),
    strings: many(9, 'bytes'),
    tensors: many(10, 'TensorProto'),
    graphs: many(11, 'GraphProto'),
    type: field(20, 'int32'),
    sparseTensor: field(22, 'SparseTensorProto'),
    sparseTensors: many(23, 'SparseTensorProto'),
  },
  SparseTensorProto: { values: field(1, 'TensorProto'), indices: field(2, 'TensorProto') },
  TensorProto: {
    dims: many(1, 'int64'),
    dataType: field(2, 'int32'),
    name: field(8, 'string'),
    doubleData: many(10, 'double'),
    externalData: many(13, 'StringStringEntryProto'),
    dataLocation: field(14, 'int32'),
  },
  ValueInfoProto: { name: field(1, 'string'), type: field(2, 'TypeProto') },
  TypeProto: { tensorType: field(1, 'TensorTypeProto') },
  TensorTypeProto: { elemType: field(1, 'int32'), shape: field(2, 'ShapeProto') },
  ShapeProto: { dim: many(1, 'DimensionProto') },
  DimensionProto: { dimValue: field(1, 'int64'), dimParam: field(2, 'string') },
};

const root = protobuf.Root.fromJSON({
  nested: Object.fromEntries(Object.entries(messages).map(([name, fields]) => [name, { fields }])),
});
const modelType = root.lookupType('ModelProto');

/**
 * Encodes a model; fields go out in the order of their numbers, so equal models give equal bytes. The result is a copy:
 * the writer hands out a piece of a larger buffer, whose slices are views.
 */
export const encodeModel = (model: OnnxModel): Uint8Array =>
  new Uint8Array(modelType.encode(modelType.create(model)).finish());

/** Decodes a model file; throws where the bytes are not one. Tensor contents are not read. */
export function decodeModel(bytes: Uint8Array): OnnxModel {
  const decoded = modelType.decode(bytes);
  return modelType.toObject(decoded, { longs: Number });
}
