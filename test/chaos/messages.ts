/** What a supervised process tells the supervisor over its channel. */
export type FromChild =
  | { ready: true }
  | { loaded: true }
  | { failpoint: { id: number; point: string } }
  | { note: { name: string; value: unknown } }
  | { reply: { id: number; value?: unknown; error?: string } };

/** What the supervisor tells a process. */
export type ToChild =
  | { begin: true }
  | { armed: string[] }
  | { pass: { id: number; answer: unknown } }
  | { call: { id: number; name: string; input: unknown } };
