import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The folder of real data sets: `APP_TEST_DATA_DIR`, else `../shared/data` beside the checkout. */
export const testDataDir = resolve(process.env['APP_TEST_DATA_DIR'] ?? '../shared/data');

/** True where the folder of this data set is there. */
export const hasTestData = (dataSet: string): boolean => existsSync(join(testDataDir, dataSet));

/**
 * `describe` for tests that need a real data set; where its folder is absent they are reported as skipped, and the
 * reason is printed.
 */
export function describeWithData(dataSet: string, title: string, tests: () => void): void {
  if (hasTestData(dataSet)) {
    describe(title, tests);
    return;
  }
  const reason = `no folder ${join(testDataDir, dataSet)} (set APP_TEST_DATA_DIR)`;
  console.warn(`skipped: ${title}: ${reason}`);
  describe.skip(`${title} [skipped: ${reason}]`, tests);
}

/** A row of a data set by column name. */
export type DataRow = Record<string, string | number>;

/** Rows of one file with the label of each: true for the positive class. */
export interface LabelledRows {
  rows: DataRow[];
  labels: boolean[];
}

/** Columns of the Adult census files, in order, as `adult.names` lists them; the label comes last. */
export const adultColumns = [
  { name: 'age', type: 'number' },
  { name: 'workclass', type: 'categorical' },
  { name: 'fnlwgt', type: 'number' },
  { name: 'education', type: 'categorical' },
  { name: 'education-num', type: 'number' },
  { name: 'marital-status', type: 'categorical' },
  { name: 'occupation', type: 'categorical' },
  { name: 'relationship', type: 'categorical' },
  { name: 'race', type: 'categorical' },
  { name: 'sex', type: 'categorical' },
  { name: 'capital-gain', type: 'number' },
  { name: 'capital-loss', type: 'number' },
  { name: 'hours-per-week', type: 'number' },
  { name: 'native-country', type: 'categorical' },
] as const;

/** Inputs of the *full* Adult model: all columns but the sampling weight. */
export const adultFeatures = adultColumns.filter(({ name }) => name !== 'fnlwgt');

function readAdult(file: string): LabelledRows {
  const result: LabelledRows = { rows: [], labels: [] };
  for (const line of readFileSync(join(testDataDir, 'adult', file), 'utf8').split('\n')) {
    const cells = line.split(',').map((cell) => cell.trim());
    if (cells.length !== adultColumns.length + 1 || cells.includes('?')) continue;
    const row: DataRow = {};
    for (const [at, { name, type }] of adultColumns.entries()) {
      const cell = cells[at] ?? '';
      row[name] = type === 'number' ? Number(cell) : cell;
    }
    result.rows.push(row);
    result.labels.push(cells.at(-1)?.replace(/\.$/, '') === '>50K');
  }
  return result;
}

let adult: { train: LabelledRows; test: LabelledRows } | undefined;

/**
 * The official Adult split, cells trimmed, rows with a missing value (`?`) dropped, the trailing dot of the test labels
 * removed: 30,162 training and 15,060 test rows; positive is `>50K`. Read once per process.
 */
export function loadAdult(): { train: LabelledRows; test: LabelledRows } {
  adult ??= { train: readAdult('adult-train.csv'), test: readAdult('adult-test.csv') };
  return adult;
}
