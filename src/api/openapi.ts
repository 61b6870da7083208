import { z } from 'zod';
import { createDocument, type ZodOpenApiOperationObject } from 'zod-openapi';
import { errorTable, type ErrorCode } from '../domain/errors.js';
import { mutates, type Route } from './route.js';

const fieldErrorSchema = z.object({
  pointer: z.string(),
  code: z.string(),
  detail: z.string().optional(),
});
const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]]),
    detail: z.string(),
    next: z.string(),
    requestId: z.string(),
    errors: z.array(fieldErrorSchema).optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem document.' });

const everywhere: ErrorCode[] = [
  'INVALID_REQUEST',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'INTERNAL',
  'STORE_UNAVAILABLE',
  'RATE_LIMITED',
  'OVERLOADED',
];
const withBody: ErrorCode[] = ['REQUEST_TIMEOUT', 'PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'];
const withKey: ErrorCode[] = ['IDEMPOTENCY_KEY_REQUIRED', 'IDEMPOTENCY_MISMATCH'];

/** All codes a route can answer, grouped by status. */
function problemsOf(route: Route): Map<number, ErrorCode[]> {
  const { spec } = route;
  const codes = new Set<ErrorCode>([
    ...everywhere,
    ...(mutates(spec) ? [...withBody, ...(spec.public === undefined ? withKey : [])] : []),
    ...spec.problems,
  ]);
  const grouped = new Map<number, ErrorCode[]>();
  for (const code of [...codes].sort()) {
    const { status } = errorTable[code];
    grouped.set(status, [...(grouped.get(status) ?? []), code]);
  }
  return grouped;
}

const headers = {
  key: z.string().min(1).max(255).meta({ description: 'Same key and body: same operation.' }),
  prefer: z
    .string()
    .optional()
    .meta({ description: '`wait=n`: up to n ≤ 30 seconds for the result.' }),
};

/** Results and problems of a route by status. */
function responsesOf(route: Route): NonNullable<ZodOpenApiOperationObject['responses']> {
  const { spec } = route;
  const responses: NonNullable<ZodOpenApiOperationObject['responses']> = {
    [spec.response.status]: {
      description: spec.response.description,
      content: { 'application/json': { schema: spec.response.schema } },
    },
  };
  const { other } = spec.response;
  if (other !== undefined)
    responses[`${other.status}` as '200'] = {
      description: other.description,
      content: { 'application/json': { schema: spec.response.schema } },
    };
  for (const [status, codes] of [...problemsOf(route)].sort(([a], [b]) => a - b)) {
    responses[`${status}` as '400'] = {
      description: codes.join(', '),
      content: { 'application/problem+json': { schema: problemSchema } },
    };
  }
  if (spec.wait !== undefined) {
    responses['200'] = {
      description: 'The result, where it was ready within `Prefer: wait`.',
      content: { 'application/json': { schema: spec.wait.schema } },
    };
  }
  return responses;
}

function operationOf(route: Route): ZodOpenApiOperationObject {
  const { spec } = route;
  const responses = responsesOf(route);
  const parameters = {
    ...(spec.params === undefined ? {} : { path: spec.params as z.ZodObject }),
    ...(spec.query === undefined ? {} : { query: spec.query as z.ZodObject }),
    ...(mutates(spec) && spec.public === undefined
      ? {
          header: z.object({
            'Idempotency-Key': headers.key,
            ...(spec.wait === undefined ? {} : { Prefer: headers.prefer }),
          }),
        }
      : {}),
  };
  const content =
    spec.upload !== undefined
      ? {
          'multipart/form-data': {
            schema: z.object({
              options: spec.upload.fields as z.ZodObject,
              file: z.string().meta({ format: 'binary', description: spec.upload.fileDescription }),
            }),
          },
        }
      : spec.body !== undefined
        ? {
            'application/json': {
              schema: spec.body,
              ...(spec.example?.body === undefined ? {} : { example: spec.example.body }),
            },
          }
        : undefined;
  return {
    operationId: spec.operation,
    tags: [spec.operation.split('.')[0] ?? spec.operation],
    summary: spec.summary,
    ...(spec.description === undefined ? {} : { description: spec.description }),
    ...(spec.permission === undefined || spec.permission === 'any'
      ? {}
      : { 'x-permission': spec.permission }),
    ...(spec.public === undefined ? {} : { 'x-public': spec.public, security: [] }),
    ...(spec.example === undefined ? {} : { 'x-example': spec.example }),
    requestParams: parameters,
    ...(content === undefined ? {} : { requestBody: { required: true, content } }),
    responses,
  };
}

/** The OpenAPI 3.1 document of all registered routes. */
export function openApiDocument(routes: Route[]): object {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  const sorted = [...routes].sort((a, b) => a.spec.path.localeCompare(b.spec.path));
  for (const route of sorted) {
    (paths[route.spec.path] ??= {})[route.spec.method] = operationOf(route);
  }
  return createDocument({
    openapi: '3.1.0',
    info: {
      title: 'Anneal',
      version: '1.0.0',
      description:
        'The AI lifecycle as durable workflows. Times are UTC ISO 8601; quantities carry their unit.',
    },
    servers: [{ url: '/' }],
    security: [{ apiKey: [] }],
    components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
    paths,
  });
}
