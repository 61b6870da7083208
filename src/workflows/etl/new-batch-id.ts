import { uuid4 } from '@temporalio/workflow';
import { formatId } from '../../domain/ids.js';

/** A sortable id that replays as itself: the sandbox makes both the time and the dice deterministic. */
export const newBatchId = (): string => {
  const hex = uuid4().replaceAll('-', '');
  const bytes = Uint8Array.from({ length: 10 }, (_, at) =>
    parseInt(hex.slice(at * 2, at * 2 + 2), 16),
  );
  return formatId('batch', Date.now(), bytes);
};
