import type { SinkRow } from './vector-sink.js';

/** Bytes of the metadata of a row as JSON, with room for its page. */
const MAX_BYTES = 8_000;

/**
 * What a row carries of its document's metadata, so that searches can narrow by it: the page, and every field that is one
 * value, by name, as long as it fits into 8 KiB.
 */
export function rowMetadata(
  metadata: Readonly<Record<string, unknown>>,
  page: number,
): SinkRow['metadata'] {
  const kept: SinkRow['metadata'] = {};
  let bytes = 0;
  for (const name of Object.keys(metadata).sort()) {
    const value = metadata[name];
    if (name === 'page') continue;
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
      continue;
    bytes += new TextEncoder().encode(JSON.stringify({ [name]: value })).length;
    if (bytes > MAX_BYTES) break;
    kept[name] = value;
  }
  return { ...kept, page };
}
