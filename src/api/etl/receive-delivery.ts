import { PlatformError } from '../../domain/errors.js';
import { MAX_DOCUMENT_BYTES, type PushMessage } from '../../domain/etl/document-requests.js';
import type { ChangeRecord } from '../../domain/etl/ledger.js';
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
 * The change that a message is; its bytes are stored first.
 * @param delivery the delivery's id: the version, so that a redelivery is the same change
 * @throws UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE, EGRESS_REFUSED, EGRESS_FAILED
 */
export async function receiveDelivery(
  deps: EtlRouteDeps,
  message: PushMessage,
  from: { tenant: string; delivery: string; signal: AbortSignal },
): Promise<ChangeRecord> {
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
  const { tenant: tenantId, signal } = from;
  const maxBytes = MAX_DOCUMENT_BYTES;
  const stored = await deps.artifacts.put({ tenantId, body: opened.body, maxBytes, signal });
  return {
    ...base,
    kind: 'upsert',
    priority: 3,
    contentRef: stored.ref,
    bytes: stored.sizeBytes,
    content: { ...contentOf(message), mediaType },
  };
}
