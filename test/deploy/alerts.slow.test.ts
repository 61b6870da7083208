import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { createMetrics, declaredMetrics } from '../../src/main/metrics.js';
import { coreFailureReasons } from '../../src/main/core-metrics.js';
import {
  knownSeries,
  knownValues,
  namesIn,
  unknownIn,
  unknownValuesIn,
} from '../observability/metric-names.js';
import { projectRoot, readText } from '../support/source-tree.js';

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; runbook_url: string };
}
interface AlertTest {
  input_series: { series: string }[];
  alert_rule_test: { alertname: string; exp_alerts: object[] }[];
}

const folder = 'deploy/prometheus';
const files = readdirSync(join(projectRoot, folder))
  .filter((file) => file.endsWith('-alerts.yaml'))
  .map((file) => {
    const name = basename(file, '-alerts.yaml');
    const [rules, tests] = [file, `${name}-alerts.test.yaml`].map((of) =>
      readText(`${folder}/${of}`),
    ) as [string, string];
    return {
      name,
      testsText: tests,
      rules: (parse(rules) as { groups: { rules: Rule[] }[] }).groups.flatMap((one) => one.rules),
      tests: (parse(tests) as { tests: AlertTest[] }).tests,
    };
  });

const taskFailed = 'temporal_workflow_task_execution_failed';
const resultRejected = 'temporal_activity_execution_failed{failure_reason="PayloadsTooLarge"}';

/** Changes of an expression that its cases must notice: what stands there, and what it becomes. */
const changes: Record<string, [string, string][]> = {
  KnowledgeUnapplied: [
    ['> 300', '> 3000'],
    ['> 300', '> 100'],
  ],
  KnowledgeScanOverdue: [['> 2', '> 1']],
  KnowledgeRowsDiverged: [
    ['orphan_rows) > 0', 'orphan_rows) > 9'],
    ['missing_rows) > 0', 'missing_rows) > 9'],
  ],
  KnowledgeQuarantined: [
    ['> 0.02', '> 0.2'],
    ['> 0.02', '> 0.005'],
  ],
  KnowledgeRecallLow: [
    ['< 0.95', '< 0.9'],
    ['< 0.95', '< 0.97'],
  ],
  KnowledgeIntentOpen: [
    ['> 3600', '> 36000'],
    ['> 3600', '> 360'],
  ],
  WorkflowTaskFailing: [
    ['> 0', '> 90'],
    ['> 0', '>= 0'],
    ['[30m]', '[10m]'],
    [`(${taskFailed} unless ${taskFailed} offset 30m) or `, ''],
  ],
  PayloadRejected: [
    ['PayloadsTooLarge|', ''],
    ['=~"PayloadsTooLarge|GrpcMessageTooLarge"', '!=""'],
    [`(${resultRejected} unless ${resultRejected} offset 30m) or `, ''],
    [` or increase(${resultRejected}[30m])`, ''],
    [resultRejected, 'temporal_activity_execution_failed'],
  ],
  ScheduleToStartHigh: [
    ['> 1000', '> 9000'],
    ['> 1000', '> 10'],
    ['task_queue=~"orchestration|inference"', 'task_queue!=""'],
  ],
  BacklogAging: [
    ['> 30 ', '> 300 '],
    ['> 30 ', '> 20 '],
    ['> 600', '> 6000'],
    ['> 600', '> 500'],
    ['queue="etl"', 'queue!=""'],
  ],
  ApiUnseen: [['{check="stopping"}', '']],
  BacklogUnseen: [['anneal_backlog_age_seconds', 'anneal_backlog_age_seconds{queue="none"}']],
  OutboxStuck: [
    ['> 60', '> 600'],
    ['> 60', '>= 0'],
  ],
  UnknownEffectsAging: [
    ['> 300', '> 3000'],
    ['> 300', '> 100'],
  ],
  AuditCheckpointLagging: [
    ['> 120', '> 1200'],
    ['> 120', '> 12'],
  ],
  AuditVerifyFailed: [
    ['broken_chains) > 0', 'broken_chains) > 1'],
    ['outcome="broken"', 'outcome="intact"'],
  ],
  DecisionRowMissing: [
    ['> 0', '> 5'],
    ['> 0', '>= 0'],
  ],
  ReconcilerDivergence: [
    ['divergences) > 0', 'divergences) > 1'],
    ['divergences) > 0', 'divergences) >= 0'],
    ['[15m])) > 0', '[15m])) > 5'],
    ['[15m])) > 0', '[15m])) >= 0'],
  ],
  BackupOverdue: [
    ['26 *', '260 *'],
    ['26 *', '24 *'],
  ],
  WalUnshipped: [
    ['> 60', '> 600'],
    ['> 60', '> 30'],
  ],
  RestoreDrillStale: [
    ['31 *', '310 *'],
    ['31 *', '28 *'],
  ],
  AuthFailureBurst: [
    ['> 50', '> 500'],
    ['> 50', '> 5'],
    ['reason!="missing"', 'reason!=""'],
  ],
  KeyStuffing: [
    ['> 200', '> 2000'],
    ['> 200', '> 20'],
    ['reason=~"unknown|wrong-secret"', 'reason!=""'],
  ],
  CrossTenantProbe: [
    ['> 0.2', '> 0.9'],
    ['> 0.2', '> 0.01'],
    ['[5m])) > 200', '[5m])) > 10'],
  ],
  PrivilegedGrant: [
    ['> 0', '> 5'],
    ['> 0', '>= 0'],
  ],
  KeyRotationDue: [
    ['365 *', '3650 *'],
    ['365 *', '30 *'],
    ['90 *', '900 *'],
    ['90 *', '9 *'],
  ],
  LoopLagHigh: [
    ['> 0.25', '> 2.5'],
    ['> 0.25', '> 0.01'],
  ],
  ReadinessFlapping: [
    ['> 4', '> 40'],
    ['> 4', '> 1'],
  ],
  SloBurnFast: [
    ['[1h])) > 14.4', '[1h])) > 144'],
    ['[5m])) > 14.4', '[5m])) >= 0'],
    ['> 14.4', '> 1'],
  ],
  SloBurnSlow: [
    ['[6h])) > 6', '[6h])) > 60'],
    ['[30m])) > 6', '[30m])) > 60'],
  ],
};

const anchorsOf = (page: string): Set<string> =>
  new Set([...readText(page).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title.toLowerCase()));

const run = (args: string[], cwd: string) => {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd, encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
};
const promtool = spawnSync('promtool', ['--version'], { encoding: 'utf8' });
const isThere = promtool.error === undefined;
if (!isThere)
  process.stdout.write('NOT RUN: promtool is not installed (Debian package prometheus)\n');
const describePromtool = isThere ? describe : describe.skip;
const title = isThere ? 'promtool' : 'promtool [skipped: not installed, Debian package prometheus]';

it('metrics carry bounded labels only', () => {
  const allowed = new Set(
    [
      ['activity', 'change_kind', 'check', 'class', 'code', 'key', 'kind', 'operation', 'outcome'],
      ['queue', 'reason', 'role', 'sink', 'source', 'source_kind', 'stage', 'state', 'status'],
    ].flat(),
  );
  const metrics = declaredMetrics(createMetrics()).filter(({ name }) => name.startsWith('anneal_'));
  expect(metrics.length).toBeGreaterThanOrEqual(40);
  for (const { name, labelNames } of metrics)
    for (const label of labelNames)
      expect(`${name} ${label} ${String(allowed.has(label))}`).toMatch(/true$/);
});

it('a value that nothing emits is seen in whatever way a rule names it', () => {
  const values = knownValues();
  const found = (text: string) => unknownValuesIn(text, values);
  expect(found('anneal_authn_failures_total{reason=~"unknown|wrong-secret"}')).toEqual([]);
  expect(found('a or anneal_authn_failures_total{reason=~"unknown|wrong-pass"}')).toEqual([
    'anneal_authn_failures_total{reason=wrong-pass}',
  ]);
  expect(found('anneal_authn_failures_total{instance="a", reason!="absent"}')).toEqual([
    'anneal_authn_failures_total{reason=absent}',
  ]);
  expect(found('anneal_backlog_age_seconds{queue="etl"}')).toEqual([]);
  expect(found('anneal_backlog_age_seconds{queue="elt"}')).toHaveLength(1);
  expect(found('anneal_requests_total{status=~"5.."}')).toEqual([]);
  expect(found('anneal_requests_total{status=~"6.."}')).toHaveLength(1);
  expect(found('temporal_activity_execution_failed{failure_reason="PayloadTooLarge"}')).toEqual([
    'temporal_activity_execution_failed{failure_reason=PayloadTooLarge}',
  ]);
  expect(found('anneal_attempts_total{class="ok"}')).toEqual(['anneal_attempts_total{class=ok}?']);
});

it('reasons of failed tasks are those of the engine that is installed', () => {
  const engine = readText(
    'node_modules/@temporalio/core-bridge/sdk-core/crates/sdk-core/src/telemetry/metrics.rs',
  );
  const [, reasons = ''] = /impl Display for FailureReason \{([\s\S]*?)\n\}\n/.exec(engine) ?? [];
  const fixed = [...reasons.matchAll(/"(\w+)"\.to_owned/g)].map(([, reason = '']) => reason);
  // `timeout` is a request's.
  expect([...coreFailureReasons].sort()).toEqual(fixed.filter((one) => one !== 'timeout').sort());
});

it('the configuration of Prometheus loads every file of rules', () => {
  const { rule_files: loaded } = parse(readText(`${folder}/prometheus.yml`)) as {
    rule_files: string[];
  };
  expect([...loaded].sort()).toEqual(files.map(({ name }) => `${name}-alerts.yaml`).sort());
});

describe.each(files)('alerts on $name', ({ name, rules, tests, testsText }) => {
  it('ask for nothing that the code does not emit, and neither do their cases', () => {
    const known = knownSeries();
    const asked = [
      ...rules.map(({ expr }) => expr),
      ...tests.flatMap((test) => test.input_series.map((one) => one.series)),
    ];
    expect(namesIn(asked.join('\n')).length).toBeGreaterThan(0);
    expect(asked.flatMap((text) => unknownIn(text, known))).toEqual([]);
    expect(unknownIn('rate(anneal_gone_total[5m]) / anneal_inflight{tenant="a"}', known)).toEqual([
      'anneal_gone_total',
      'anneal_inflight{tenant}',
    ]);
  });

  it('name no value of a label that the code does not emit, and neither do their cases', () => {
    const values = knownValues();
    expect(rules.flatMap(({ expr }) => unknownValuesIn(expr, values))).toEqual([]);
    // A case may give a value that begins with the first event of its kind, such as the name of a source.
    const given = tests.flatMap((test) => test.input_series.map((one) => one.series));
    const wrong = given.flatMap((text) => unknownValuesIn(text, values));
    expect(wrong.filter((one) => !one.endsWith('?'))).toEqual([]);
  });

  it('[D41] each have a case in which they fire and one in which they are silent', () => {
    const lacking = rules.flatMap(({ alert }) => {
      const cases = tests.flatMap((test) =>
        test.alert_rule_test.filter(({ alertname }) => alertname === alert),
      );
      const fires = cases.some(({ exp_alerts: alerts }) => alerts.length > 0);
      const rests = cases.some(({ exp_alerts: alerts }) => alerts.length === 0);
      return [
        ...(fires ? [] : [`${alert} never fires`]),
        ...(rests ? [] : [`${alert} never rests`]),
      ];
    });
    expect(lacking).toEqual([]);
  });

  it('each say how grave they are and lead to a section of a runbook that says what to do', () => {
    for (const { alert, labels, annotations } of rules) {
      const [page = '', anchor] = annotations.runbook_url.split('#');
      expect(page).toMatch(/^docs\/runbooks\/[a-z-]+\.md$/);
      expect(anchor).toBe(alert.toLowerCase());
      expect(anchorsOf(page)).toContain(anchor);
      expect(annotations.summary).not.toBe('');
      expect(['page', 'ticket']).toContain(labels.severity);
      const section = readText(page).split(`\n## ${alert}\n`)[1]?.split('\n## ')[0] ?? '';
      for (const step of ['Symptom', 'Confirm', 'Act', 'Verify', 'Undo'])
        expect(`${alert}: ${section}`).toContain(`**${step}**`);
    }
  });

  describePromtool(title, () => {
    const cwd = join(projectRoot, folder);
    it('every alert fires and stays silent as its cases say', () => {
      expect(run(['check', 'rules', `${name}-alerts.yaml`], cwd)).toMatchObject({ status: 0 });
      expect(run(['test', 'rules', `${name}-alerts.test.yaml`], cwd)).toMatchObject({ status: 0 });
    });

    it('a figure that moves is noticed by the cases', () => {
      const copy = mkdtempSync(join(tmpdir(), 'anneal-alerts-'));
      const unnoticed = (rule: Rule): string[] => {
        const own = tests
          .map((test) => ({
            ...test,
            alert_rule_test: test.alert_rule_test.filter((one) => one.alertname === rule.alert),
          }))
          .filter((test) => test.alert_rule_test.length > 0);
        const { evaluation_interval: interval } = parse(testsText) as Record<string, string>;
        const cases = { rule_files: ['a.yaml'], evaluation_interval: interval, tests: own };
        const passes = (expr: string): boolean => {
          const groups = [{ name: 'a', rules: [{ ...rule, expr }] }];
          writeFileSync(join(copy, 'a.yaml'), stringify({ groups }));
          return run(['test', 'rules', 'a.test.yaml'], copy).status === 0;
        };
        writeFileSync(join(copy, 'a.test.yaml'), stringify(cases));
        expect(`${rule.alert} ${String(passes(rule.expr))}`).toBe(`${rule.alert} true`);
        return (changes[rule.alert] ?? []).flatMap(([from, to]) => {
          expect(rule.expr).toContain(from);
          // Both windows of a burn rate move together where one alone would be held by the other.
          return passes(rule.expr.replaceAll(from, to)) ? [`${rule.alert}: ${from} → ${to}`] : [];
        });
      };
      try {
        expect(rules.flatMap(unnoticed)).toEqual([]);
        expect(rules.filter(({ alert }) => changes[alert] === undefined)).toEqual([]);
      } finally {
        rmSync(copy, { recursive: true });
      }
    }, 240_000);
  });
});

describePromtool(title, () => {
  it('takes the configuration of Prometheus', () => {
    const config = ['check', 'config', 'prometheus.yml'];
    expect(run(config, join(projectRoot, folder))).toMatchObject({ status: 0 });
  });
});
