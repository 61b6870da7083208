import { randomBytes } from 'node:crypto';
import { formatId, type IdKind } from '../../domain/ids.js';

/** Mints a sortable id of one kind, where its row is about to be written. */
export const newId = (kind: IdKind): string => formatId(kind, Date.now(), randomBytes(10));
