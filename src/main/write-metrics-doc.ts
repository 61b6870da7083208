import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { coreMetrics } from './core-metrics.js';
import { createMetrics, declaredMetrics } from './metrics.js';
import { projectFolder } from './project-folder.js';
import { markdownTable, writeDocument } from './write-document.js';

// Writes docs/metrics.md from the registry that API and workers declare; with `--check` it only compares.

const intro = `# Metrics

<!-- Generated from src/main/*-metrics.ts and deploy/prometheus by \`npm run docs:metrics\`; edit them there. -->

API and workers show these at \`/metrics\` of their internal listener (ports 7081 and 7082). Both declare all of them and each
writes its own: what the edge does comes from the API, what activities do from the workers, and what only the stores know
from every worker with the role \`orchestration\`, the same figures from each: take their \`max\`, \`min\` for recall and nDCG. No
label carries a tenant, a key or an id. Beside them are the usual ones of the process and of Node.
[\`deploy/prometheus/prometheus.yml\`](../deploy/prometheus/prometheus.yml) scrapes them,
[\`deploy/grafana\`](../deploy/grafana) draws them; each alert has its runbook section.
`;

const coreIntro = `## Of Temporal core

On the workers' port 7084, with the engine's own names and units. These are the ones that alerts and dashboards read; there
are more.
`;

interface Row {
  name: string;
  type: string;
  labels: readonly string[];
  help: string;
}

/** The alerts of every rule file, with all that is said of each. */
async function readAlerts(): Promise<{ name: string; text: string }[]> {
  const folder = projectFolder('deploy/prometheus');
  const files = (await readdir(folder)).filter((file) => file.endsWith('-alerts.yaml')).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return texts.flatMap((text) =>
    text
      .split(/^\s+- alert: /m)
      .slice(1)
      .map((rule) => ({ name: /^\w+/.exec(rule)?.[0] ?? '', text: rule })),
  );
}

const list = (names: readonly string[]): string =>
  names.length === 0 ? '–' : names.map((name) => `\`${name}\``).join(', ');

function table(rows: readonly Row[], alerts: readonly { name: string; text: string }[]): string {
  const cells = ({ name, type, labels, help }: Row): string[] => {
    const speaks = new RegExp(`\\b${name}(?:_bucket|_sum|_count)?\\b`);
    const by = alerts.filter(({ text }) => speaks.test(text)).map((alert) => alert.name);
    return [`\`${name}\``, type, list(labels), help, by.length === 0 ? '–' : by.join(', ')];
  };
  return markdownTable([['Metric', 'Type', 'Labels', 'Says', 'Alert'], ...rows.map(cells)]);
}

/** What the registry declares, of Anneal's own. */
const ownRows = (): Row[] =>
  declaredMetrics(createMetrics())
    .filter(({ name }) => name.startsWith('anneal_'))
    .map(({ name, type, labelNames, help }) => ({ name, type, labels: labelNames, help }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

async function render(): Promise<string> {
  const alerts = await readAlerts();
  const own = table(ownRows(), alerts);
  return `${intro}\n${own}\n\n${coreIntro}\n${table(coreMetrics, alerts)}\n`;
}

await writeDocument(await render(), { path: 'docs/metrics.md', command: 'npm run docs:metrics' });
