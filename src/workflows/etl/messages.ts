import { defineSignal } from '@temporalio/workflow';

/**
 * "The change log of this source has something new." A signal and not an update, because the relay sends it together
 * with the start of a watcher that is not running yet, and nobody waits for an answer: the changes are rows in Postgres.
 */
export const changesRecordedSignal = defineSignal('changesRecorded');
