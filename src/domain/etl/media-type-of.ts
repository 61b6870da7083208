import { mediaTypeNamed, mediaTypeOfName, type MediaType } from './media-types.js';

/**
 * What pushed bytes are: what was declared, else the end of a name, else the content type of the part; undefined where
 * that is nothing we read. A part's `text/plain` comes last, because senders write it where they know nothing.
 */
export function mediaTypeOf(of: {
  declared?: string | undefined;
  names: readonly (string | undefined)[];
  partType?: string | undefined;
}): MediaType | undefined {
  if (of.declared !== undefined) return mediaTypeNamed(of.declared);
  for (const name of of.names) {
    const found = mediaTypeOfName(name ?? '');
    if (found !== undefined) return found;
  }
  return mediaTypeNamed(of.partType);
}
