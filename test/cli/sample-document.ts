const id = { name: 'id', in: 'path', required: true, schema: { type: 'string' } };
const json = (schema: object) => ({ content: { 'application/json': { schema } } });
const started = { description: 'started', ...json({ $ref: '#/components/schemas/Started' }) };

/** A small document of the platform's form: one operation of each kind. */
export const sampleDocument = {
  openapi: '3.1.0',
  info: { title: 'Sample', version: '1.0.0' },
  paths: {
    '/v1/models/{model}/runs': {
      post: {
        operationId: 'runs.create',
        summary: 'Start a run',
        'x-permission': 'training:run',
        'x-example': { params: { model: 'credit' }, body: { trainer: 'gbt', budget: { ms: 1 } } },
        parameters: [{ ...id, name: 'model' }],
        requestBody: json({
          type: 'object',
          required: ['trainer'],
          properties: { trainer: { type: 'string' }, budget: { type: 'object' } },
        }),
        responses: { 202: started },
      },
      get: {
        operationId: 'runs.list',
        summary: 'List runs',
        'x-example': { params: { model: 'credit' }, query: { state: 'RUNNING' } },
        parameters: [
          { ...id, name: 'model' },
          { name: 'state', in: 'query', schema: { enum: ['RUNNING', 'FAILED'] } },
          { name: 'output', in: 'query', schema: { type: 'string' } },
          { name: 'startedBy', in: 'query', schema: { type: 'string' } },
        ],
        responses: { 200: { description: 'page' } },
      },
    },
    '/v1/runs/{id}': {
      get: {
        operationId: 'runs.get',
        summary: 'Get a run',
        parameters: [id],
        responses: { 200: { description: 'run' } },
      },
    },
    '/v1/runs/{id}:cancel': {
      post: {
        operationId: 'runs.cancel',
        summary: 'Cancel a run',
        'x-example': { params: { id: 'run_1' }, body: { reason: 'too slow' } },
        parameters: [id],
        requestBody: json({ type: 'object', properties: { reason: { type: 'string' } } }),
        responses: { 202: started },
      },
    },
    '/v1/datasets/{name}/snapshots': {
      post: {
        operationId: 'snapshots.create',
        summary: 'Upload',
        'x-example': { params: { name: 'loans' }, body: { contractId: 'c1' } },
        parameters: [{ ...id, name: 'name' }],
        requestBody: {
          content: {
            'multipart/form-data': {
              schema: {
                type: 'object',
                properties: {
                  options: { type: 'object', properties: { contractId: { type: 'string' } } },
                  file: { type: 'string', format: 'binary' },
                },
              },
            },
          },
        },
        responses: { 202: started },
      },
    },
    '/v1/decisions/{id}/provenance': {
      get: {
        operationId: 'decisions.provenance',
        summary: 'Provenance',
        parameters: [id],
        responses: { 200: { description: 'chain' } },
      },
    },
    '/v1/audit:verify': {
      get: {
        operationId: 'audit.verify',
        summary: 'Verify',
        parameters: [{ name: 'chain', in: 'query', schema: { enum: ['tenant', 'system'] } }],
        responses: { 200: { description: 'verdict' } },
      },
    },
  },
  components: { schemas: { Started: { type: 'object' } } },
};
