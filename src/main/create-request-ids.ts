import { randomFillSync } from 'node:crypto';
import { formatId } from '../domain/ids.js';

const ID_BYTES = 10;
const IDS_PER_DRAW = 256;

/** Ids of requests. Random bytes are drawn for many at once: a draw of its own is a twentieth of what a refusal costs. */
export function createRequestIds(): () => string {
  const drawn = Buffer.alloc(ID_BYTES * IDS_PER_DRAW);
  let at = drawn.length;
  return () => {
    if (at === drawn.length) {
      randomFillSync(drawn);
      at = 0;
    }
    at += ID_BYTES;
    return formatId('request', Date.now(), drawn.subarray(at - ID_BYTES, at));
  };
}
