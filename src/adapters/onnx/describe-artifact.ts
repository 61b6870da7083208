import { DESCRIPTION_KEY, type ArtifactDescription } from './export-model.js';
import { decodeModel, tensorType } from './onnx-messages.js';

/** Element types that rows can be turned into. */
type InputKind = 'float' | 'double' | 'int32' | 'int64' | 'string' | 'bool';

/** One input of a model and the raw field that feeds it. */
export interface ArtifactInput {
  field: string;
  /** Contract type of the field, where the artifact tells it. */
  type?: string | undefined;
  input: string;
  kind: InputKind;
}

/** What a runtime needs to know of a model file. */
export interface ArtifactInfo {
  inputs: ArtifactInput[];
  /** Output that holds the probabilities. */
  output: string;
  classes: [negative: string, positive: string];
}

const kinds = new Map<number, InputKind>(
  Object.entries(tensorType).map(([kind, code]) => [code, kind as InputKind]),
);

function parseDescription(text: string | undefined): ArtifactDescription | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as ArtifactDescription);
}

/**
 * Reads inputs, classes and the probability output of a model file. A file without our description feeds each input
 * from the field of the same name and calls its classes `0` and `1`. Throws where an input has no type we can feed or
 * where there is no output of float probabilities.
 */
export function describeArtifact(bytes: Uint8Array): ArtifactInfo {
  const { graph, metadataProps = [] } = decodeModel(bytes);
  const description = parseDescription(
    metadataProps.find(({ key }) => key === DESCRIPTION_KEY)?.value,
  );
  const byInput = new Map(description?.fields.map((field) => [field.input, field]));
  const inputs = (graph?.input ?? []).map(({ name, type }): ArtifactInput => {
    const kind = kinds.get(type?.tensorType?.elemType ?? 0);
    if (kind === undefined) throw new Error(`input ${name} has an element type we cannot feed`);
    const known = byInput.get(name);
    return { field: known?.name ?? name, type: known?.type, input: name, kind };
  });
  const outputs = graph?.output ?? [];
  const float = outputs.filter(({ type }) => type?.tensorType?.elemType === tensorType.float);
  const output = float.find(({ name }) => name === 'probabilities') ?? float[0];
  if (output === undefined) throw new Error('no output of float probabilities');
  return { inputs, output: output.name, classes: description?.classes ?? ['0', '1'] };
}
