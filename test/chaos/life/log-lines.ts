// What the programs of a run write down, and all that the checker knows of what they did. Times are milliseconds since
// the epoch.

/** What a caller asks for. */
export type Operation =
  | 'set-up'
  | 'infer'
  | 'feedback'
  | 'publish'
  | 'train'
  | 'evaluate'
  | 'ask-approval'
  | 'approve'
  | 'release'
  | 'proceed'
  | 'rollback'
  | 'kill'
  | 'ask-lift'
  | 'lift'
  | 'document'
  | 'query'
  | 'bad-input';

/** One try, written before it is sent. The key is the idempotency key: tries of one request share it. */
export interface CallLine {
  line: 'call';
  at: number;
  tenant: string;
  op: Operation;
  key: string;
  /** From 1. */
  attempt: number;
}

/** How a try ended. */
export interface AnswerLine {
  line: 'answer';
  at: number;
  tenant: string;
  op: Operation;
  key: string;
  attempt: number;
  /** 0: no answer at all. */
  status: number;
  code?: string | undefined;
  /** Of what the request made. */
  id?: string | undefined;
  state?: string | undefined;
  /** Set where the state is final and the answer, though a refusal, is the end. */
  isFinal?: boolean | undefined;
}

/** What someone saw of a thing afterwards. */
interface LookLine {
  line: 'look';
  at: number;
  tenant: string;
  op: Operation;
  id: string;
  state: string;
}

/** One tenant asked for what belongs to the other. */
interface ForeignLine {
  line: 'foreign';
  at: number;
  tenant: string;
  path: string;
  status: number;
}

/** A text that may appear in no log; planted in inputs, documents and keys. */
interface CanaryLine {
  line: 'canary';
  tenant: string;
  text: string;
}

/** A question whose text the provider is paid for, by its digest. */
interface QuestionLine {
  line: 'question';
  digest: string;
}

/** A caller that gave up. */
interface FailedLine {
  line: 'failed';
  at: number;
  tenant: string;
  what: string;
}

export type DriverLine =
  CallLine | AnswerLine | LookLine | ForeignLine | CanaryLine | QuestionLine | FailedLine;

/** What the supervisor did: one line when it begins, one when things are well again. */
export interface FaultLine {
  at: number;
  phase: 'begin' | 'end';
  /** Name of the round. */
  label: string;
  kind: string;
  /** Signals sent; of `end` lines the sum. */
  kills: number;
}
