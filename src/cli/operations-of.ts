import { z } from 'zod';
import { bodyFieldsOf, type BodyField } from './body-fields.js';

const schemaSchema = z.looseObject({
  enum: z.array(z.unknown()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  description: z.string().optional(),
  $ref: z.string().optional(),
});
type Schema = z.infer<typeof schemaSchema>;

const parameterSchema = z.looseObject({
  name: z.string(),
  in: z.enum(['path', 'query', 'header', 'cookie']),
  required: z.boolean().default(false),
  description: z.string().optional(),
  schema: schemaSchema.default({}),
});

const exampleSchema = z.object({
  params: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
  query: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
  body: z.unknown().optional(),
});
type OperationExample = z.infer<typeof exampleSchema>;

const operationSchema = z.looseObject({
  operationId: z.string(),
  summary: z.string().default(''),
  description: z.string().optional(),
  parameters: z.array(parameterSchema).default([]),
  requestBody: z
    .looseObject({ content: z.record(z.string(), z.looseObject({ schema: schemaSchema })) })
    .optional(),
  responses: z.record(z.string(), z.unknown()).default({}),
  'x-permission': z.string().optional(),
  'x-example': exampleSchema.optional(),
});

const documentSchema = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  components: z.looseObject({ schemas: z.record(z.string(), schemaSchema).optional() }).optional(),
});
type Document = z.infer<typeof documentSchema>;

/** A parameter of the path or the query. */
export interface CliParameter {
  name: string;
  required: boolean;
  description: string;
  /** The values it may take, where the document lists them. */
  choices: string[];
}

/** One operation of the document, as its command needs it. */
export interface CliOperation {
  /** `<noun>.<verb>`. */
  id: string;
  noun: string;
  verb: string;
  method: string;
  path: string;
  summary: string;
  description: string;
  /** In the order of the path. */
  pathParameters: CliParameter[];
  queryParameters: CliParameter[];
  body: 'none' | 'json' | 'upload';
  /** Top-level properties of the JSON body, or of an upload's options. */
  bodyFields: BodyField[];
  /** True where the body has a field that must be given. */
  bodyRequired: boolean;
  /** True where it answers 202 with links that can be followed. */
  starts: boolean;
  permission: string | undefined;
  example: OperationExample | undefined;
}

function resolved(document: Document, schema: Schema): Schema {
  const name = /^#\/components\/schemas\/(.+)$/.exec(schema.$ref ?? '')?.[1];
  const target = name === undefined ? undefined : document.components?.schemas?.[name];
  return target === undefined ? schema : resolved(document, target);
}

const resolvedIn = (document: Document, schema: unknown): unknown => {
  const { data } = schemaSchema.safeParse(schema);
  return data === undefined ? schema : resolved(document, data);
};

function bodyOf(document: Document, content: Record<string, { schema: Schema }> | undefined) {
  const upload = content?.['multipart/form-data'];
  const json = content?.['application/json'];
  if (upload !== undefined) {
    const options = schemaSchema.safeParse(
      resolved(document, upload.schema).properties?.['options'] ?? {},
    );
    const schema = resolved(document, options.data ?? {});
    return { body: 'upload' as const, schema };
  }
  if (json !== undefined) return { body: 'json' as const, schema: resolved(document, json.schema) };
  const schema: Schema = {};
  return { body: 'none' as const, schema };
}

function parameterOf(parameter: z.infer<typeof parameterSchema>): CliParameter {
  const { name, required, schema } = parameter;
  const description = parameter.description ?? schema.description ?? '';
  const choices = (schema.enum ?? []).map(String);
  return { name, required, description, choices };
}

/** Documents that were read before: checking one takes longer than most commands, and a process has one. */
const read = new WeakMap<object, CliOperation[]>();

/**
 * All operations of an OpenAPI document, by noun and verb; the same list for the same document.
 * @throws where the document is no OpenAPI document or an operation id is not `<noun>.<verb>`
 */
export function operationsOf(source: unknown): readonly CliOperation[] {
  if (typeof source !== 'object' || source === null) return readOperations(source);
  const known = read.get(source);
  if (known !== undefined) return known;
  const operations = readOperations(source);
  read.set(source, operations);
  return operations;
}

function readOperations(source: unknown): CliOperation[] {
  const document = documentSchema.parse(source);
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): CliOperation => {
      const [noun, verb] = operation.operationId.split('.');
      if (noun === undefined || verb === undefined)
        throw new Error(`operation id ${operation.operationId} is not <noun>.<verb>`);
      const { body, schema } = bodyOf(document, operation.requestBody?.content);
      const place = (name: string) => path.indexOf(`{${name}}`);
      const { parameters } = operation;
      return {
        id: operation.operationId,
        noun,
        verb,
        method: method.toUpperCase(),
        path,
        summary: operation.summary,
        description: operation.description ?? '',
        pathParameters: parameters
          .filter((parameter) => parameter.in === 'path')
          .sort((a, b) => place(a.name) - place(b.name))
          .map(parameterOf),
        queryParameters: parameters.filter((one) => one.in === 'query').map(parameterOf),
        body,
        bodyFields: bodyFieldsOf(schema, (one) => resolvedIn(document, one)),
        bodyRequired: (schema.required ?? []).length > 0,
        starts: '202' in operation.responses,
        permission: operation['x-permission'],
        example: operation['x-example'],
      };
    }),
  );
  return operations.sort((a, b) => a.id.localeCompare(b.id));
}
