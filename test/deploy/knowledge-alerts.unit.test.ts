import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { createMetrics } from '../../src/main/metrics.js';
import { projectRoot, readText } from '../support/source-tree.js';

interface Rule {
  alert: string;
  expr: string;
  annotations: { runbook_url: string };
}
interface AlertTest {
  input_series: { series: string }[];
  alert_rule_test: { alertname: string; exp_alerts: object[] }[];
}

const folder = 'deploy/prometheus';
const rulesText = readText(`${folder}/knowledge-alerts.yaml`);
const testsText = readText(`${folder}/knowledge-alerts.test.yaml`);
const rules = (parse(rulesText) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const tests = (parse(testsText) as { tests: AlertTest[] }).tests;

/** The series of a process by name, as Prometheus stores them, with their labels. */
async function emitted(): Promise<Map<string, string[]>> {
  const series = new Map<string, string[]>();
  for (const metric of await createMetrics().registry.getMetricsAsJSON()) {
    const { labelNames = [] } = metric as unknown as { labelNames?: string[] };
    const labels = [...labelNames];
    if (String(metric.type) !== 'histogram') series.set(metric.name, labels);
    else
      for (const suffix of ['_bucket', '_sum', '_count'])
        series.set(`${metric.name}${suffix}`, labels);
  }
  return series;
}

const named = (text: string): string[] => [
  ...new Set([...text.matchAll(/\banneal_[a-z0-9_]+/g)].map(([name]) => name)),
];

it('every metric that an alert or its test names is one that the code emits', async () => {
  const series = await emitted();
  const used = [...named(rules.map(({ expr }) => expr).join('\n')), ...named(testsText)];
  expect(used.length).toBeGreaterThan(10);
  expect(used.filter((name) => !series.has(name))).toEqual([]);
});

it('metrics of knowledge carry bounded labels only', async () => {
  const allowed = new Set(['source_kind', 'change_kind', 'stage', 'sink', 'reason']);
  const { registry } = createMetrics();
  const names = registry
    .getMetricsAsArray()
    .filter(({ name }) => /^anneal_(etl|retrieval)_/.test(name)) as unknown as {
    name: string;
    labelNames: string[];
  }[];
  expect(names.length).toBeGreaterThanOrEqual(20);
  for (const { name, labelNames } of names)
    for (const label of labelNames)
      expect(`${name} ${String(allowed.has(label))}`).toMatch(/true$/);
});

it('every alert has a case in which it fires, one in which it is silent, and a runbook that says what to do', () => {
  const runbook = readText('docs/runbooks/knowledge.md');
  expect(rules.map(({ alert }) => alert)).toHaveLength(6);
  for (const { alert, annotations } of rules) {
    const cases = tests.flatMap((test) =>
      test.alert_rule_test.filter(({ alertname }) => alertname === alert),
    );
    expect(cases.some(({ exp_alerts: alerts }) => alerts.length > 0)).toBe(true);
    expect(cases.some(({ exp_alerts: alerts }) => alerts.length === 0)).toBe(true);
    expect(annotations.runbook_url).toBe(`docs/runbooks/knowledge.md#${alert.toLowerCase()}`);
    expect(runbook).toContain(`\n## ${alert}\n`);
  }
});

const promtool = spawnSync('promtool', ['--version'], { encoding: 'utf8' });
const isThere = promtool.error === undefined;
if (!isThere)
  process.stdout.write('NOT RUN: promtool is not installed (Debian package prometheus)\n');

const run = (args: string[], cwd = join(projectRoot, folder)) => {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd, encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
};

(isThere ? describe : describe.skip)(
  isThere ? 'promtool' : 'promtool [skipped: not installed, Debian package prometheus]',
  () => {
    it('every alert fires and stays silent as its cases say', () => {
      expect(run(['check', 'rules', 'knowledge-alerts.yaml'])).toMatchObject({ status: 0 });
      expect(run(['test', 'rules', 'knowledge-alerts.test.yaml'])).toMatchObject({ status: 0 });
    });

    it('a threshold that moves is noticed by its cases', () => {
      const moved: [string, string][] = [
        ['> 300', '> 3000'],
        ['> 300', '> 100'],
        ['> 2\n', '> 1\n'],
        ['orphan_rows) > 0', 'orphan_rows) > 9'],
        ['missing_rows) > 0', 'missing_rows) > 9'],
        ['> 0.02', '> 0.2'],
        ['> 0.02', '> 0.005'],
        ['< 0.95', '< 0.9'],
        ['< 0.95', '< 0.97'],
        ['> 3600', '> 36000'],
        ['> 3600', '> 360'],
      ];
      const copy = mkdtempSync(join(tmpdir(), 'anneal-alerts-'));
      try {
        writeFileSync(join(copy, 'knowledge-alerts.test.yaml'), testsText);
        for (const [from, to] of moved) {
          expect(rulesText).toContain(from);
          writeFileSync(join(copy, 'knowledge-alerts.yaml'), rulesText.replace(from, to));
          const { status } = run(['test', 'rules', 'knowledge-alerts.test.yaml'], copy);
          expect(`${from} → ${to}: ${String(status)}`).toBe(`${from} → ${to}: 1`);
        }
      } finally {
        rmSync(copy, { recursive: true });
      }
    });
  },
);
