import { readFileSync } from 'node:fs';
import { isNewMajor, openapiBreaks, openapiDifferences } from '../../src/main/openapi-breaks.js';

type Json = Record<string, unknown>;
const json = (schema: Json) => ({ content: { 'application/json': { schema } } });

/** A document of one operation with the given request and response. */
function documentOf(change: { request?: Json; response?: Json; operation?: Json } = {}) {
  const request = {
    type: 'object',
    required: ['name'],
    properties: {
      name: { type: 'string' },
      mode: { enum: ['full', 'incremental'] },
      split: { anyOf: [{ type: 'object', properties: { kind: { const: 'a' } } }] },
    },
    ...change.request,
  };
  return {
    info: { version: '1.4.0' },
    paths: {
      '/v1/things/{id}': {
        post: {
          operationId: 'things.create',
          parameters: [
            { name: 'id', in: 'path', required: true, schema: {} },
            { name: 'limit', in: 'query', schema: { enum: [1, 2] } },
          ],
          requestBody: json(request),
          responses: { 200: json({ $ref: '#/components/schemas/Thing' }) },
          ...change.operation,
        },
      },
    },
    components: {
      schemas: {
        Thing: {
          type: 'object',
          properties: {
            state: { enum: ['A', 'B'] },
            parts: { type: 'array', items: { $ref: '#/components/schemas/Thing' } },
            tags: { type: 'array', items: { properties: { label: { type: 'string' } } } },
          },
          ...change.response,
        },
      },
    },
  };
}

const base = documentOf();
const thing = base.components.schemas.Thing.properties;
const fields = (documentOf().paths['/v1/things/{id}'].post.requestBody as Json)['content'];
const requestProperties = (fields as { 'application/json': { schema: { properties: Json } } })[
  'application/json'
].schema.properties;
const at = 'POST /v1/things/{id}: ';

describe('openapiBreaks', () => {
  it('finds nothing in an equal document, nor in additions', () => {
    expect(openapiBreaks(base, base)).toEqual([]);
    const more = documentOf({
      request: { properties: { ...requestProperties, extra: { type: 'string' } } },
      response: { properties: { ...thing, state: { enum: ['A', 'B', 'C'] }, extra: {} } },
    });
    expect(
      openapiBreaks(base, { ...more, paths: { ...more.paths, '/v1/new': { get: {} } } }),
    ).toEqual([]);
  });

  it.each([
    ['a removed operation', { ...base, paths: {} }, [`${at}operation removed`]],
    [
      'a renamed operation',
      documentOf({ operation: { operationId: 'things.make' } }),
      [`${at}operation id things.create is now things.make`],
    ],
    [
      'a removed response field, at any depth',
      documentOf({ response: { properties: { ...thing, tags: { items: { properties: {} } } } } }),
      [`${at}response field removed: 200 /tags/*/label`],
    ],
    [
      'another success status',
      documentOf({
        operation: { responses: { 202: json({ $ref: '#/components/schemas/Thing' }) } },
      }),
      expect.arrayContaining([`${at}response field removed: 200`]) as string[],
    ],
    [
      'a newly required request field',
      documentOf({ request: { required: ['name', 'mode'] } }),
      [`${at}request field newly required: application/json /mode`],
    ],
    [
      'a removed request field: strict bodies refuse it',
      documentOf({ request: { properties: { name: {}, mode: requestProperties['mode'] } } }),
      [
        `${at}request field removed: application/json /split`,
        `${at}request field removed: application/json /split/kind`,
      ],
    ],
    [
      'a removed value of a request field',
      documentOf({ request: { properties: { ...requestProperties, mode: { enum: ['full'] } } } }),
      [`${at}request value removed: application/json /mode = incremental`],
    ],
    [
      'a removed value of a response field',
      documentOf({ response: { properties: { ...thing, state: { enum: ['A'] } } } }),
      [`${at}response value removed: 200 /state = B`],
    ],
    [
      'a parameter that is newly required, and one whose values shrink',
      documentOf({
        operation: {
          parameters: [
            { name: 'id', in: 'path', required: true, schema: {} },
            { name: 'limit', in: 'query', required: true, schema: { enum: [1] } },
          ],
        },
      }),
      [
        `${at}request field newly required: query limit`,
        `${at}request value removed: query limit = 2`,
      ],
    ],
  ])('finds %s', (_name, after, breaks) => {
    expect(openapiBreaks(base, after)).toEqual(breaks);
  });

  it('accepts a limit of values that falls away, and one that appears only in a response', () => {
    const response = { properties: { ...thing, state: { type: 'string' } } };
    const request = { properties: { ...requestProperties, mode: { type: 'string' } } };
    const free = documentOf({ request, response });
    expect(openapiBreaks(base, free)).toEqual([]);
    expect(openapiBreaks(free, base)).toEqual([
      `${at}request field newly limited to listed values: application/json /mode`,
    ]);
  });

  it('lets an open answer name its fields, and refuses that of an open request', () => {
    const open = { properties: undefined, required: undefined, additionalProperties: {} };
    expect(openapiBreaks(documentOf({ response: open }), base)).toEqual([]);
    expect(
      openapiBreaks(documentOf({ request: open }), documentOf({ request: { required: [] } })),
    ).toEqual([`${at}request field removed: application/json /*`]);
    const typed = { ...open, additionalProperties: { type: 'string' } };
    expect(openapiBreaks(documentOf({ response: typed }), base)).toEqual([
      `${at}response field removed: 200 /*`,
    ]);
  });

  it('reads the real document: equal to itself, and every operation of it counts', () => {
    const real = JSON.parse(
      readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8'),
    ) as { paths: Record<string, object> };
    expect(openapiBreaks(real, real)).toEqual([]);
    const count = Object.values(real.paths).flatMap((path) => Object.keys(path)).length;
    expect(openapiBreaks(real, { ...real, paths: {} })).toHaveLength(count);
  });
});

describe('openapiDifferences', () => {
  it('names what was added, removed and changed', () => {
    const after = documentOf({ response: { description: 'x' }, operation: { summary: 'x' } });
    expect(
      openapiDifferences(base, { ...after, paths: { ...after.paths, '/v1/new': { get: {} } } }),
    ).toEqual(['+ GET /v1/new', '~ POST /v1/things/{id}', '~ schema Thing']);
    expect(openapiDifferences(base, { ...base, paths: {} })).toEqual(['- POST /v1/things/{id}']);
  });
});

describe('isNewMajor', () => {
  it('is true only where the first number has risen', () => {
    expect(isNewMajor(base, { ...base, info: { version: '2.0.0' } })).toBe(true);
    expect(isNewMajor(base, { ...base, info: { version: '1.5.0' } })).toBe(false);
  });
});
