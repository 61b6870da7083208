import { defineSearchAttributeKey } from '@temporalio/common';

/**
 * The typed search attributes of every workflow; registration reads this list too.
 * A namespace on SQL visibility has ten Keyword slots: an addition is a decision record.
 */
export const searchAttributes = {
  Tenant: defineSearchAttributeKey('Tenant', 'KEYWORD'),
  Target: defineSearchAttributeKey('Target', 'KEYWORD'),
  Version: defineSearchAttributeKey('Version', 'KEYWORD'),
  Phase: defineSearchAttributeKey('Phase', 'KEYWORD'),
  Verdict: defineSearchAttributeKey('Verdict', 'KEYWORD'),
  RiskClass: defineSearchAttributeKey('RiskClass', 'KEYWORD'),
  WaitingOn: defineSearchAttributeKey('WaitingOn', 'KEYWORD'),
};

/** What a workflow waits for, as the `WaitingOn` attribute says it. */
export type WaitingOn =
  | 'approver'
  | 'labels'
  | 'samples'
  | 'freeze'
  | 'human'
  | 'budget'
  | 'capacity'
  /** Serving processes that load a version or follow a pointer. */
  | 'processes'
  /** The end of a window of the plan. */
  | 'time'
  | 'store'
  | 'nothing';
