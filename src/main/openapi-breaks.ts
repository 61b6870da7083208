import { z } from 'zod';

const schemaSchema = z.looseObject({
  $ref: z.string().optional(),
  enum: z.array(z.unknown()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  items: z.unknown().optional(),
  additionalProperties: z.unknown().optional(),
  allOf: z.array(z.unknown()).optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
});

const contentSchema = z.record(z.string(), z.looseObject({ schema: z.unknown().optional() }));
const operationSchema = z.looseObject({
  operationId: z.string().optional(),
  parameters: z
    .array(
      z.looseObject({
        name: z.string(),
        in: z.string(),
        required: z.boolean().default(false),
        schema: z.unknown().optional(),
      }),
    )
    .default([]),
  requestBody: z
    .looseObject({ required: z.boolean().default(false), content: contentSchema })
    .optional(),
  responses: z.record(z.string(), z.looseObject({ content: contentSchema.optional() })).default({}),
});
const documentSchema = z.looseObject({
  info: z.looseObject({ version: z.string() }).optional(),
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  components: z.looseObject({ schemas: z.record(z.string(), z.unknown()).optional() }).optional(),
});
type Document = z.infer<typeof documentSchema>;
type Operation = z.infer<typeof operationSchema>;

/** One field of a schema by its path, `/items/*` for each item: whether it must be there, and its values. */
interface Field {
  required: boolean;
  /** Undefined where any value goes. */
  values: Set<string> | undefined;
  /** A field of any name and any value: it promises a reader nothing. */
  isOpen: boolean;
}
type Fields = Map<string, Field>;

/** Values of alternatives add up; one alternative that takes any value takes the limit away. */
function merge(fields: Fields, path: string, field: Field): void {
  const known = fields.get(path);
  const values =
    known === undefined
      ? field.values
      : known.values && field.values && new Set([...known.values, ...field.values]);
  const required = field.required && (known?.required ?? true);
  fields.set(path, { required, values, isOpen: field.isOpen && (known?.isOpen ?? true) });
}

/** Lists every field that a schema names; a schema inside itself is followed once. */
function collect(document: Document, source: unknown, into: Fields): Fields {
  const walk = (
    given: unknown,
    at: { path: string; required: boolean; inside: string[]; isOpen?: boolean },
  ): void => {
    const schema = schemaSchema.safeParse(given).data;
    if (schema === undefined) return;
    const { path, required, inside, isOpen = false } = at;
    const { $ref } = schema;
    if ($ref !== undefined) {
      if (inside.includes($ref)) return;
      const name = $ref.replace('#/components/schemas/', '');
      walk(document.components?.schemas?.[name], { ...at, inside: [...inside, $ref] });
      return;
    }
    // In a union no branch's fields are sure to be asked for; in an intersection all are.
    for (const part of schema.allOf ?? []) walk(part, at);
    for (const part of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])])
      walk(part, { ...at, required: false });
    const isUnion = schema.allOf ?? schema.anyOf ?? schema.oneOf;
    if (path !== '' && isUnion === undefined)
      merge(into, path, {
        required,
        values: schema.enum && new Set(schema.enum.map(String)),
        isOpen,
      });
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const must = (required || path === '') && (schema.required ?? []).includes(name);
      walk(property, { path: `${path}/${name}`, required: must, inside });
    }
    if (schema.items !== undefined) walk(schema.items, { path: `${path}/*`, required, inside });
    const others = schema.additionalProperties;
    if (typeof others === 'object' && others !== null) {
      const says = Object.keys(others).length > 0;
      walk(others, { path: `${path}/*`, required: false, inside, isOpen: !says });
    }
  };
  walk(source, { path: '', required: true, inside: [] });
  return into;
}

function requestFields(document: Document, operation: Operation): Fields {
  const fields: Fields = new Map();
  for (const [type, { schema }] of Object.entries(operation.requestBody?.content ?? {}))
    for (const [path, field] of collect(document, schema, new Map()))
      fields.set(`${type} ${path}`, field);
  for (const parameter of operation.parameters) {
    const path = `${parameter.in} ${parameter.name}`;
    const values = schemaSchema.safeParse(parameter.schema).data?.enum;
    merge(fields, path, {
      required: parameter.required,
      values: values && new Set(values.map(String)),
      isOpen: false,
    });
  }
  return fields;
}

function responseFields(document: Document, operation: Operation): Fields {
  const fields: Fields = new Map();
  for (const [status, { content }] of Object.entries(operation.responses)) {
    if (!status.startsWith('2')) continue;
    fields.set(status, { required: true, values: undefined, isOpen: false });
    for (const { schema } of Object.values(content ?? {}))
      for (const [path, field] of collect(document, schema, new Map()))
        fields.set(`${status} ${path}`, field);
  }
  return fields;
}

function lostValues(before: Field, after: Field): string[] {
  if (after.values === undefined || before.values === undefined) return [];
  return [...before.values].filter((value) => !after.values?.has(value));
}

function fieldBreaks(side: 'request' | 'response', before: Fields, after: Fields): string[] {
  const isRequest = side === 'request';
  const breaks: string[] = [];
  for (const [path, field] of before) {
    const now = after.get(path);
    if (now === undefined) {
      if (isRequest || !field.isOpen) breaks.push(`${side} field removed: ${path}`);
      continue;
    }
    for (const value of lostValues(field, now))
      breaks.push(`${side} value removed: ${path} = ${value}`);
    if (isRequest && field.values === undefined && now.values !== undefined)
      breaks.push(`request field newly limited to listed values: ${path}`);
  }
  if (!isRequest) return breaks;
  for (const [path, field] of after)
    if (field.required && before.get(path)?.required !== true)
      breaks.push(`request field newly required: ${path}`);
  return breaks;
}

const operationsOf = (document: Document): Map<string, Operation> =>
  new Map(
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): [string, Operation] => [
        `${method.toUpperCase()} ${path}`,
        operation,
      ]),
    ),
  );

/**
 * What would break a caller of `before` that meets `after`: an operation, a request or response field or a listed value
 * that is gone (bodies are strict, so a removed request field is refused), a request field that is newly required, an
 * operation under another id (its command has another name). Additions break nobody, nor does naming the fields of an answer
 * that had any.
 * @returns one line each, sorted; empty where every caller goes on working
 */
export function openapiBreaks(before: unknown, after: unknown): string[] {
  const [old, now] = [documentSchema.parse(before), documentSchema.parse(after)];
  const operations = operationsOf(now);
  const breaks = [...operationsOf(old)].flatMap(([name, operation]) => {
    const next = operations.get(name);
    if (next === undefined) return [`${name}: operation removed`];
    const renamed =
      operation.operationId === next.operationId
        ? []
        : [`operation id ${operation.operationId} is now ${next.operationId}`];
    return [
      ...renamed,
      ...fieldBreaks('request', requestFields(old, operation), requestFields(now, next)),
      ...fieldBreaks('response', responseFields(old, operation), responseFields(now, next)),
    ].map((line) => `${name}: ${line}`);
  });
  return breaks.sort();
}

/** Operations of two documents that were added, removed or changed: what a stale file differs in. */
export function openapiDifferences(before: unknown, after: unknown): string[] {
  const [old, now] = [documentSchema.parse(before), documentSchema.parse(after)];
  const [olds, nows] = [operationsOf(old), operationsOf(now)];
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  const names = [...new Set([...olds.keys(), ...nows.keys()])].sort();
  const operations = names.flatMap((name) => {
    if (!olds.has(name)) return [`+ ${name}`];
    if (!nows.has(name)) return [`- ${name}`];
    return same(olds.get(name), nows.get(name)) ? [] : [`~ ${name}`];
  });
  const [a, b] = [old.components?.schemas ?? {}, now.components?.schemas ?? {}];
  const schemas = [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .filter((name) => !same(a[name], b[name]))
    .sort()
    .map((name) => `~ schema ${name}`);
  return [...operations, ...schemas];
}

/** True where the document says that it is a new major version: breaks are announced by it. */
export function isNewMajor(before: unknown, after: unknown): boolean {
  const major = (document: unknown) =>
    Number(documentSchema.parse(document).info?.version.split('.')[0] ?? 0);
  return major(after) > major(before);
}
