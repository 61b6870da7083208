import type { ArtifactStore } from '../../domain/artifacts.js';
import { compileRedaction, hiddenFields } from '../../domain/datasets/redact-row.js';
import { rowDigest } from '../../domain/datasets/row-digest.js';
import type {
  RejectedRow,
  RuleCount,
  StageDeps,
  StageInput,
  StageResult,
} from '../../domain/datasets/staging.js';
import { compileRowValidator } from '../../domain/datasets/validate-row.js';
import type { RowViolation } from '../../domain/datasets/validate-row.js';
import { digestOf } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import { createQuarantineWriter, createRunWriter, RUN_LIMITS } from './line-writers.js';
import type { WriterLimits } from './line-writers.js';
import { emptyTable, readTable } from './read-table.js';
import { formatRow } from './row-lines.js';
import { readState, writeState } from './staged-state.js';
import { artifactSource } from './table-reader.js';
import type { RawRow } from './table-reader.js';

const MAX_CELL_CHARS = 1_000;

/** A valid row on its way to a run. */
interface Candidate {
  number: number;
  line: string;
  subjectToken: string | null;
}

function createCounts() {
  const rules = new Map<string, RuleCount>();
  return {
    add({ field, rule }: RowViolation, severity: RuleCount['severity']): void {
      const key = JSON.stringify([field, rule, severity]);
      const found = rules.get(key);
      if (found) found.count++;
      else rules.set(key, { field, rule, severity, count: 1 });
    },
    list: (): RuleCount[] =>
      [...rules].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, count]) => count),
  };
}

const storable = (cell: unknown): unknown => {
  if (typeof cell === 'string') return cell.slice(0, MAX_CELL_CHARS).toWellFormed();
  if (cell === null || typeof cell === 'number' || typeof cell === 'boolean') return cell;
  if (typeof cell === 'bigint') return cell.toString();
  return cell instanceof Date && !Number.isNaN(cell.getTime()) ? cell.toISOString() : '(not shown)';
};

/** The rejected row as it is kept: its cells only where they are known to be no identifiers. */
function createRejection({ contract, pii }: StageInput) {
  const hidden = hiddenFields(contract, pii);
  const shown = contract.fields
    .map(({ name }, at) => ({ name, at }))
    .filter(({ name }) => !hidden.has(name));
  return (row: RawRow, violations: RowViolation[]): RejectedRow => {
    const rejected = { row: row.number, violations };
    if ('problem' in row) return rejected;
    const cells = shown.map(({ name, at }) => [name, storable(row.cells[at])] as const);
    return { ...rejected, cells: Object.fromEntries(cells) };
  };
}

function createStage(store: ArtifactStore, input: StageInput, deps: StageDeps & WriterLimits) {
  const { contract, format, tenantId, scope } = input;
  const place = { store, tenantId, scope, signal: deps.signal };
  const validate = compileRowValidator(contract, { nullTokens: format.nullTokens });
  const redact = compileRedaction(contract, input.pii, (value) => deps.tokenise(value));
  const rejection = createRejection(input);
  const runs = createRunWriter(place, deps);
  const quarantine = createQuarantineWriter(place);
  const counts = createCounts();
  const sums = { total: 0, valid: 0, rejected: 0, withoutConsent: 0, imputedValues: 0 };

  const reject = async (row: RawRow, violations: RowViolation[]): Promise<void> => {
    sums.rejected++;
    for (const violation of violations) counts.add(violation, 'reject');
    await quarantine.add(rejection(row, violations));
  };
  const check = async (row: RawRow): Promise<Candidate | undefined> => {
    if ('problem' in row) {
      await reject(row, [{ field: '', ...row.problem }]);
      return undefined;
    }
    const outcome = validate(row.cells);
    if (!outcome.ok) {
      await reject(row, outcome.violations);
      return undefined;
    }
    for (const warning of outcome.warnings) counts.add(warning, 'warn');
    sums.imputedValues += outcome.imputed.length;
    const { values, subjectToken } = redact(outcome.row);
    const line = formatRow({ rowDigest: rowDigest(values), subjectToken, values });
    return { number: row.number, line, subjectToken };
  };
  const consented = async (
    rows: readonly Candidate[],
  ): Promise<ReadonlySet<string> | undefined> => {
    if (input.requireConsent !== true) return undefined;
    const tokens = new Set(rows.flatMap(({ subjectToken }) => subjectToken ?? []));
    return deps.consented ? deps.consented([...tokens]) : new Set();
  };
  return {
    sums,
    async addBatch(rows: readonly RawRow[]): Promise<void> {
      const candidates: Candidate[] = [];
      for (const row of rows) {
        sums.total++;
        const candidate = await check(row);
        if (candidate) candidates.push(candidate);
      }
      const granted = await consented(candidates);
      for (const { number, line, subjectToken } of candidates) {
        if (!granted || (subjectToken !== null && granted.has(subjectToken))) {
          sums.valid++;
          await runs.add(line);
          continue;
        }
        sums.withoutConsent++;
        counts.add({ field: contract.subjectKeyField ?? '', rule: 'consent' }, 'reject');
        const detail = 'the subject has not granted every purpose';
        await quarantine.add({ row: number, violations: [{ field: '', rule: 'consent', detail }] });
      }
    },
    async finish() {
      await runs.flush();
      await quarantine.flush();
      return { ...sums, rules: counts.list(), runs: runs.runs, quarantine: quarantine.parts };
    },
  };
}

async function sourceDigestOf(store: ArtifactStore, { source }: StageInput): Promise<string> {
  const sha256 = (await store.stat(source.ref))?.sha256;
  if (sha256 === undefined)
    throw new PlatformError('ARTIFACT_CORRUPT', 'The source file is missing.', {
      internal: source.ref,
    });
  if (source.digest !== undefined && source.digest !== sha256)
    throw new PlatformError('SOURCE_DIGEST_MISMATCH', 'The file has another digest than named.');
  return sha256;
}

/**
 * First stage of a publication: reads the source, validates each row, leaves out subjects without consent, redacts,
 * and writes valid rows as sorted runs into the staging area and rejected ones as quarantine parts. Memory is bounded
 * by one run (200,000 rows or 64 MiB). Idempotent: a finished stage is read back from the staging area, an unfinished
 * one is repeated and gives the same bytes.
 * Throws `SOURCE_DIGEST_MISMATCH`, `DATASET_UNREADABLE`, `DATASET_EMPTY`, and the codes of the store.
 */
export async function stageRows(
  store: ArtifactStore,
  input: StageInput,
  deps: StageDeps & { limits?: WriterLimits | undefined },
): Promise<StageResult> {
  const { tenantId, scope, contract, format, pii, source, requireConsent } = input;
  const state = { tenantId, scope, name: 'stage.json' };
  const key = digestOf('anneal.dataset.stage', {
    source: { ref: source.ref },
    contract,
    format,
    requireConsent: requireConsent === true,
    pii: pii ?? null,
  });
  const sourceDigest = await sourceDigestOf(store, input);
  const finished = await readState<StageResult>(store, state, key);
  if (finished) return finished;
  const stage = createStage(store, input, { ...deps, ...(deps.limits ?? RUN_LIMITS) });
  const file = await artifactSource(store, source.ref);
  let ignoredColumns: readonly string[] = [];
  for await (const batch of readTable(file, { contract, format })) {
    deps.signal?.throwIfAborted();
    ignoredColumns = batch.ignoredColumns;
    await stage.addBatch(batch.rows);
    deps.heartbeat?.({ stage: 'validating', rows: stage.sums.total, parts: 0 });
  }
  if (stage.sums.total === 0) throw emptyTable();
  const result = { sourceDigest, ...(await stage.finish()), ignoredColumns: [...ignoredColumns] };
  await writeState(store, state, { key, value: result });
  return result;
}
