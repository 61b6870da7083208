import { PlatformError } from '../../domain/errors.js';
import { MAX_DOCUMENT_BYTES, type PushMessage } from '../../domain/etl/document-requests.js';
import type { SubmittedChange } from '../../domain/etl/ledger.js';
import { mediaTypeOf } from '../../domain/etl/media-type-of.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

/** The bytes of a message, in it or behind its address. */
async function openContent(deps: EtlRouteDeps, message: PushMessage, signal: AbortSignal) {
  if (message.url === undefined) return { body: once(Buffer.from(message.content ?? '')) };
  return deps.openUrl(message.url, { maxBytes: MAX_DOCUMENT_BYTES, signal });
}

/** What a message says beside its bytes. */
const contentOf = ({ key, title, metadata, acl, subjects }: PushMessage) => ({
  name: key,
  ...(title === undefined ? {} : { title }),
  ...(metadata === undefined ? {} : { metadata }),
  ...(acl === undefined ? {} : { acl }),
  ...(subjects === undefined ? {} : { subjects }),
});

/**
 * The change that a message is; its bytes are staged first, and kept with the change.
 * @param from.delivery the delivery's id: the version, so that a redelivery is the same change
 * @param from.scope staging area of the bytes, the caller's to drop
 * @throws UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE, EGRESS_REFUSED, EGRESS_FAILED
 */
export async function receiveDelivery(
  deps: EtlRouteDeps,
  message: PushMessage,
  from: { tenant: string; delivery: string; scope: string; signal: AbortSignal },
): Promise<SubmittedChange> {
  const { seq, changedAt } = message;
  const base = {
    naturalKey: message.key,
    sourceVersion: from.delivery,
    ...(seq === undefined ? {} : { seq: BigInt(seq) }),
    ...(changedAt === undefined ? {} : { changedAtMs: Date.parse(changedAt) }),
  };
  if (message.deleted === true) return { ...base, kind: 'delete', priority: 2 };
  if (message.content === undefined && message.url === undefined)
    return { ...base, kind: 'acl', priority: 2, content: contentOf(message) };
  const opened = await openContent(deps, message, from.signal);
  const mediaType = mediaTypeOf({
    declared: message.mediaType,
    names: [message.key],
    partType: 'mediaType' in opened ? opened.mediaType : 'text/plain',
  });
  if (mediaType === undefined)
    throw new PlatformError('UNSUPPORTED_MEDIA_TYPE', 'Documents of this type are not read.', {
      errors: [{ pointer: '/mediaType', code: 'UNSUPPORTED_MEDIA_TYPE' }],
    });
  const { tenant: tenantId, scope, signal } = from;
  const limits = { maxBytes: MAX_DOCUMENT_BYTES, signal };
  const place = { tenantId, scope, name: 'file' };
  const file = await deps.artifacts.putStaged({ ...place, body: opened.body, ...limits });
  return {
    ...base,
    kind: 'upsert',
    priority: 3,
    bytes: file.sizeBytes,
    content: { ...contentOf(message), mediaType },
    keep: () => deps.artifacts.keepStaged({ tenantId, ...file }),
  };
}
