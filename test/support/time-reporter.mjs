// Where a run of jest spent its time: per project, and the slowest files. Jest loads reporters itself, so this is plain
// JavaScript. A file's seconds are its own process time from start to end, of which `tests` are inside tests and the
// rest goes into loading modules and into hooks; files of one run pass side by side in its workers.
const shownFiles = 15;

const seconds = (ms) => `${(ms / 1_000).toFixed(1)} s`.padStart(9);

/** One row of the table by project: files, tests, time, time inside tests. */
const newSum = () => ({ files: 0, tests: 0, ms: 0, testsMs: 0 });

const toRow = ({ test, testResult }) => ({
  project: test.context.config.displayName?.name ?? '',
  path: test.path.slice(test.context.config.rootDir.length + 1),
  tests: testResult.testResults.length,
  ms: testResult.perfStats.runtime,
  testsMs: testResult.testResults.reduce((sum, { duration }) => sum + (duration ?? 0), 0),
});

export default class TimeReporter {
  #rows = [];

  onTestResult(test, testResult) {
    this.#rows.push(toRow({ test, testResult }));
  }

  onRunComplete() {
    if (this.#rows.length < 2) return;
    const sums = new Map();
    for (const { project, tests, ms, testsMs } of this.#rows) {
      const sum = sums.get(project) ?? newSum();
      sums.set(project, {
        files: sum.files + 1,
        tests: sum.tests + tests,
        ms: sum.ms + ms,
        testsMs: sum.testsMs + testsMs,
      });
    }
    const lines = ['', 'Where the time went (sum over workers)'];
    for (const [project, { files, tests, ms, testsMs }] of sums)
      lines.push(
        `  ${project.padEnd(10)}${String(files).padStart(4)} files${String(tests).padStart(6)} tests${seconds(ms)}, in tests${seconds(testsMs)}`,
      );
    lines.push('Slowest files');
    const slowest = this.#rows.toSorted((a, b) => b.ms - a.ms).slice(0, shownFiles);
    for (const { path, ms, testsMs } of slowest)
      lines.push(`  ${seconds(ms)}, in tests${seconds(testsMs)}  ${path}`);
    process.stderr.write(`${lines.join('\n')}\n`);
  }
}
