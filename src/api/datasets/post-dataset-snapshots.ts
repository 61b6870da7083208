import { z } from 'zod';
import {
  isPublicationSettled,
  publicationOptionsSchema,
  publicationViewSchema,
  type PublicationOptions,
} from '../../domain/datasets/contract.js';
import type { DatasetContract } from '../../domain/datasets/dataset-contract.js';
import { exceedsRejectShare } from '../../domain/datasets/reject-share.js';
import { PlatformError } from '../../domain/errors.js';
import { nameSchema } from '../../domain/ids.js';
import { uploadScope, type StoredArtifact } from '../../domain/artifacts.js';
import { parseUploadOptions } from '../parse-upload-options.js';
import { route, type RouteRequest } from '../route.js';
import { started, startedSchema } from '../started.js';
import { waitUntil } from '../wait-until.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';
import { receiveUpload } from '../receive-upload.js';

/** Ragged rows that a refusal lists. */
const LISTED_ROWS = 20;

/** Refuses a file that would not be read as meant, before any work is started. */
async function inspect(
  deps: DatasetsRouteDeps,
  file: StoredArtifact,
  asked: { options: PublicationOptions; contract: DatasetContract },
): Promise<void> {
  const { contract, options } = asked;
  const { digest, ...format } = options.source;
  if (digest !== undefined && digest !== file.sha256)
    throw new PlatformError('SOURCE_DIGEST_MISMATCH', 'The file has another digest than named.', {
      errors: [{ pointer: '/options/source/digest', code: 'SOURCE_DIGEST_MISMATCH' }],
      extensions: { digest: file.sha256 },
    });
  const { rows, raggedRows } = await deps.inspectUpload(file.ref, { contract, format });
  const { maxRejectShareBp } = options;
  if (!exceedsRejectShare({ rejected: raggedRows.length, total: rows, maxRejectShareBp })) return;
  throw new PlatformError(
    'DATASET_UNREADABLE',
    `Of the first ${rows} rows, ${raggedRows.length} or more have another number of cells than columns.`,
    {
      errors: raggedRows
        .slice(0, LISTED_ROWS)
        .map((row) => ({ pointer: `/rows/${row}`, code: 'ragged' })),
    },
  );
}

/** Stores the file under a name of its own until it is known to be wanted. */
async function receive(
  deps: DatasetsRouteDeps,
  request: Pick<
    RouteRequest<{ name: string }, unknown, unknown>,
    'raw' | 'principal' | 'params' | 'signal'
  >,
  scope: string,
) {
  const { tenant } = request.principal;
  return receiveUpload(request.raw, {
    limitBytes: deps.uploadBytes,
    deadlineMs: deps.uploadDeadlineMs,
    signal: request.signal(),
    onFile: async (text, body) => {
      const options = parseUploadOptions(publicationOptionsSchema, text);
      const asked = { dataset: request.params.name, options };
      const { plan, contract } = await deps.planPublication(tenant, asked);
      const place = { tenantId: tenant, scope, name: 'file' };
      const file = await deps.artifacts.putStaged({ ...place, body, maxBytes: deps.uploadBytes });
      return { options, contractId: plan.contractId, contract, file };
    },
  });
}

/** `POST /v1/datasets/{name}/snapshots`: streams a file to the store and starts `publishSnapshot`. */
export const postDatasetSnapshots = (deps: DatasetsRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/datasets/{name}/snapshots',
    operation: 'snapshots.create',
    summary: 'Publish a file as a snapshot',
    description:
      'A form with the field `options` (JSON), then the file. A file that cannot be read is refused at once; rows that break the contract are rejected one by one.',
    permission: 'datasets:write',
    params: z.strictObject({ name: nameSchema }),
    upload: {
      fields: publicationOptionsSchema,
      fileDescription: 'CSV, JSON lines or Parquet.',
      limitBytes: deps.uploadBytes,
    },
    response: { status: 202, schema: startedSchema, description: 'The file is received.' },
    problems: [
      'UNSUPPORTED_MEDIA_TYPE',
      'CONTRACT_REQUIRED',
      'PURPOSE_DENIED',
      'DATASET_EMPTY',
      'DATASET_UNREADABLE',
      'SOURCE_DIGEST_MISMATCH',
    ],
    example: { params: { name: 'loans' }, body: { source: { format: 'csv' } } },
    handle: async (request) => {
      const { principal, params, requestId } = request;
      const { tenant } = principal;
      const scope = uploadScope(requestId);
      try {
        const { options, contractId, contract, file } = await receive(deps, request, scope);
        await inspect(deps, file, { options, contract });
        const outcome = await deps.startPublication(
          request.callerFor({ options, sha256: file.sha256 }),
          {
            dataset: params.name,
            options: { ...options, contractId },
            source: { digest: file.sha256, sizeBytes: file.sizeBytes },
            limits: deps.limits,
          },
          () => deps.artifacts.keepStaged({ tenantId: tenant, ...file }),
        );
        return started(outcome, `/v1/publications/${outcome.body.id}`, deps.links);
      } finally {
        await deps.artifacts.dropStaged(tenant, scope);
      }
    },
    wait: waitUntil({
      schema: publicationViewSchema,
      read: (principal, id) =>
        findOrRefuse(deps.findPublication(principal.tenant, id), 'publication'),
      isFinal: ({ state }) => isPublicationSettled(state),
    }),
  });
