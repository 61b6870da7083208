import type {
  BackupCreated,
  BackupRestored,
  BackupVerified,
  RestoreRequest,
} from '../domain/backup/contract.js';
import type { Probe } from './doctor.js';

/** Sends one HTTP request; main injects it. */
type SendRequest = (url: string, init: RequestInit) => Promise<Response>;

/** Where the CLI writes, and what it knows of the terminal. */
export interface CliIo {
  /** Results: the only thing on standard output. */
  out: (text: string) => void;
  /** Progress, problems and hints. */
  err: (text: string) => void;
  /** True where a person reads standard output. */
  isTerminal: boolean;
  /** Columns of the terminal, at least 80. */
  columns: number;
  paint: (style: 'red' | 'green' | 'yellow' | 'dim' | 'bold', text: string) => string;
  /** All of standard input, for `--file -`. */
  readStdin: () => Promise<string>;
}

/** Backups of the bundled Postgres; each function throws with a sentence for people. */
interface BackupPort {
  create: (to: string | undefined) => Promise<BackupCreated>;
  verify: (folder: string | undefined, keys: string | undefined) => Promise<BackupVerified>;
  restore: (
    request: Omit<RestoreRequest, 'folder'> & { folder: string | undefined },
    say: (line: string) => void,
  ) => Promise<BackupRestored>;
}

/** Everything that the CLI needs from outside. */
export interface CliDeps {
  /** The parsed openapi.json: every command comes from it. */
  document: unknown;
  version: string;
  apiUrl: string;
  apiKey: string | undefined;
  /** Path of the keys file, for messages. */
  keysPath: string;
  /** Role → key of the keys file; undefined where there is none. */
  readKeys: () => Promise<Record<string, string> | undefined>;
  send: SendRequest;
  io: CliIo;
  /** A fresh idempotency key. */
  newKey: () => string;
  /** Milliseconds of a clock that only goes forward. */
  nowMs: () => number;
  pause: (ms: number) => Promise<void>;
  backup: BackupPort;
  /** The probes of `doctor`, in the order in which they are shown. */
  probes: () => Promise<Probe[]>;
}
