import { sha256 } from '../digest.js';

/** One commit in a hundred is compared with its store; which one is fixed by the document and its revision. */
export const isSampledCommit = (docId: string, rev: number): boolean =>
  sha256(`anneal.etl.commit-sample\0${docId}\0${rev}`).readUInt32BE(0) % 100 === 0;
