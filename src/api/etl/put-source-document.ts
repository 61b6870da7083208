import { z } from 'zod';
import { uploadScope } from '../../domain/artifacts.js';
import { PlatformError } from '../../domain/errors.js';
import { digestOf } from '../../domain/digest.js';
import {
  MAX_DOCUMENT_BYTES,
  pushDocumentSchema,
  recordedSchema,
  type PushDocument,
} from '../../domain/etl/document-requests.js';
import type { SubmittedChange } from '../../domain/etl/ledger.js';
import { mediaTypeOf } from '../../domain/etl/media-type-of.js';
import { sourceIdSchema } from '../../domain/ids.js';
import { parseUploadOptions } from '../parse-upload-options.js';
import { receiveUpload, type UploadPart } from '../receive-upload.js';
import { route, type RouteRequest } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** What the file is. @throws UNSUPPORTED_MEDIA_TYPE before a byte of it is stored */
function typeOf(options: PushDocument, part: UploadPart) {
  const names = [options.key, part.filename];
  const type = mediaTypeOf({ declared: options.mediaType, names, partType: part.mediaType });
  if (type !== undefined) return type;
  throw new PlatformError('UNSUPPORTED_MEDIA_TYPE', 'Documents of this type are not read.', {
    errors: [{ pointer: '/options/mediaType', code: 'UNSUPPORTED_MEDIA_TYPE' }],
    extensions: { mediaType: part.mediaType },
  });
}

/** The source that a document may be put into. @throws NOT_FOUND, SOURCE_CONFIG_INVALID, SOURCE_PAUSED */
async function requireUploadSource(deps: EtlRouteDeps, tenant: string, sourceId: string) {
  const source = await findOrRefuse(deps.findSource(tenant, sourceId), 'source');
  if (source.kind !== 'upload')
    throw new PlatformError(
      'SOURCE_CONFIG_INVALID',
      'Documents are put into upload sources only.',
      {
        errors: [{ pointer: '/path/id', code: 'SOURCE_CONFIG_INVALID' }],
      },
    );
  if (source.state === 'PAUSED') throw new PlatformError('SOURCE_PAUSED', 'The source is paused.');
  if (source.state === 'DELETING' || source.state === 'DELETED')
    throw new PlatformError('NOT_FOUND', 'There is no such source.');
}

/** Stores the file under a name of its own until its change is taken in. */
async function receive(
  deps: EtlRouteDeps,
  request: Pick<RouteRequest<{ id: string }, unknown, unknown>, 'raw' | 'principal' | 'signal'>,
  scope: string,
) {
  const { tenant: tenantId } = request.principal;
  return receiveUpload(request.raw, {
    limitBytes: MAX_DOCUMENT_BYTES,
    deadlineMs: deps.uploadDeadlineMs,
    signal: request.signal(),
    onFile: async (text, body, part) => {
      const options = parseUploadOptions(pushDocumentSchema, text);
      const mediaType = typeOf(options, part);
      const place = { tenantId, scope, name: 'file' };
      const file = await deps.artifacts.putStaged({ ...place, body, maxBytes: MAX_DOCUMENT_BYTES });
      return { options, mediaType, file };
    },
  });
}

/** The change that an uploaded document is. */
function changeOf(
  deps: EtlRouteDeps,
  tenantId: string,
  { options, mediaType, file }: Awaited<ReturnType<typeof receive>>,
): SubmittedChange {
  const { key, ...said } = options;
  const content = { ...said, name: key, mediaType };
  return {
    naturalKey: key,
    kind: 'upsert',
    // The same bytes with other access or metadata are another version.
    sourceVersion: digestOf('anneal.etl.upload', { sha256: file.sha256, content }),
    content,
    bytes: file.sizeBytes,
    priority: 3,
    keep: () => deps.artifacts.keepStaged({ tenantId, ...file }),
  };
}

/** `PUT /v1/sources/{id}/documents`: streams one document to the artifact store and records the change. */
export const putSourceDocument = (deps: EtlRouteDeps) =>
  route({
    method: 'put',
    path: '/v1/sources/{id}/documents',
    operation: 'sources.upload',
    summary: 'Put a document into an upload source',
    description: 'A form with the field `options` (JSON), then the file.',
    permission: 'etl:write',
    params: z.strictObject({ id: sourceIdSchema }),
    upload: {
      fields: pushDocumentSchema,
      fileDescription: 'Markdown, HTML, text, CSV, JSON, JSON lines, PDF or DOCX.',
      limitBytes: MAX_DOCUMENT_BYTES,
    },
    response: { status: 202, schema: recordedSchema, description: 'The change is recorded.' },
    problems: ['SOURCE_CONFIG_INVALID', 'SOURCE_PAUSED', 'DOCUMENT_SUPPRESSED'],
    example: { params: { id: 'src_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' }, body: { key: 'guide.md' } },
    handle: async (request) => {
      const { params, requestId } = request;
      const { tenant } = request.principal;
      await requireUploadSource(deps, tenant, params.id);
      const scope = uploadScope(requestId);
      try {
        const received = await receive(deps, request, scope);
        const { options, file } = received;
        const caller = request.callerFor({ options, sha256: file.sha256 });
        return await deps.submitChanges(caller, params.id, [changeOf(deps, tenant, received)]);
      } finally {
        await deps.artifacts.dropStaged(tenant, scope);
      }
    },
  });
