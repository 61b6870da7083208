/** What the fitting process gets as its first message, under `data`. */
export interface FitJob {
  /** Spool file: one JSON string a line, one line a text. */
  textsFile: string;
  artifactFile: string;
  seed: number;
}

/** What a fit answers. */
export interface FittedLsa {
  digest: `sha256:${string}`;
  bytes: number;
  terms: number;
  texts: number;
  durationMs: number;
  /** Highest resident memory of the fitting process. */
  maxRssBytes: number;
}

/** Its only message. */
export type FitAnswer = { fitted: FittedLsa } | { code: string; message: string };
