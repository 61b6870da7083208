import { PlatformError, type FieldError } from '../../domain/errors.js';
import {
  createdSourceSchema,
  createSourceSchema,
  isPullKind,
  sourceConfigSchemas,
  type CreateSource,
} from '../../domain/etl/collection-view.js';
import { hookSecret } from '../../domain/etl/webhook-signature.js';
import { fieldErrors } from '../problem.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** The configuration as its kind reads it. @throws SOURCE_CONFIG_INVALID with every wrong field */
async function checkedConfig(deps: EtlRouteDeps, input: CreateSource): Promise<CreateSource> {
  const parsed = sourceConfigSchemas[input.kind].safeParse(input.config);
  const errors: FieldError[] = parsed.success
    ? await deps.checkSource(input.kind, parsed.data)
    : fieldErrors(parsed.error, ['config']);
  if (!isPullKind(input.kind) && input.schedule !== undefined && input.schedule !== null)
    errors.push({
      pointer: '/schedule',
      code: 'not_scanned',
      detail: 'this kind is never scanned',
    });
  // What a pull source reads is never stored; what is pushed is shared by its digest and read again by another pipeline.
  if (input.retainRaw !== undefined && input.retainRaw === isPullKind(input.kind))
    errors.push({
      pointer: '/retainRaw',
      code: 'unsupported',
      detail: input.retainRaw
        ? 'the bytes of this kind stay where they are read'
        : 'pushed bytes are kept: they cannot be read again',
    });
  if (!parsed.success || errors.length > 0)
    throw new PlatformError(
      'SOURCE_CONFIG_INVALID',
      `Wrong fields of the source: ${errors.length}.`,
      { errors },
    );
  return { ...input, config: parsed.data as CreateSource['config'] };
}

/** `POST /v1/sources` */
export const postSources = (deps: EtlRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/sources',
    operation: 'sources.create',
    summary: 'Create a source',
    description: 'It is watched from now on; a folder is scanned at once.',
    permission: 'etl:write',
    body: createSourceSchema,
    response: { status: 201, schema: createdSourceSchema, description: 'The source.' },
    problems: ['SOURCE_CONFIG_INVALID', 'ACL_REQUIRED', 'ALREADY_EXISTS'],
    example: {
      body: {
        collectionId: 'col_01JZ8Q4T5V6W7X8Y9ZABCDEFGH',
        name: 'docs',
        kind: 'upload',
        acl: ['group:staff'],
      },
    },
    handle: async ({ caller, principal, body }) => {
      const outcome = await deps.createSource(caller, await checkedConfig(deps, body));
      if (outcome.body.kind !== 'webhook') return outcome;
      // Derived and never stored: neither in the row nor in the answer that is kept under the key.
      const key = await deps.hookKey(principal.tenant, outcome.body.id);
      const hook = { path: `/v1/hooks/${outcome.body.id}`, secret: hookSecret(key) };
      return { ...outcome, body: { ...outcome.body, hook } };
    },
  });
