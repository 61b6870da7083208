import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as workflows from '../../src/workflows/index.js';
import {
  knownSeries,
  knownValues,
  namesIn,
  unknownIn,
  unknownValuesIn,
} from '../observability/metric-names.js';
import { listFiles, projectRoot, readText } from '../support/source-tree.js';

interface Panel {
  id: number;
  type: string;
  title: string;
  description: string;
  datasource?: { type: string; uid: string };
  gridPos: { h: number; w: number; x: number; y: number };
  fieldConfig?: { defaults: { unit?: string } };
  targets?: { refId: string; expr: string; datasource: { uid: string } }[];
}
interface Dashboard {
  uid: string;
  title: string;
  id?: number;
  schemaVersion: number;
  templating: { list: { name: string; type: string; query: string }[] };
  panels: Panel[];
}

const folder = 'deploy/grafana';
const dashboards = readdirSync(join(projectRoot, folder))
  .filter((file) => file.endsWith('.json'))
  .map((file) => ({ file, json: JSON.parse(readText(`${folder}/${file}`)) as Dashboard }));

const overlap = (a: Panel['gridPos'], b: Panel['gridPos']): boolean =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

/** Values that expressions name of one label, from `label="a"` and `label=~"a|b"`. */
const valuesOf = (label: string, expressions: string): string[] =>
  [...expressions.matchAll(new RegExp(`\\b${label}=~?"([A-Za-z|]+)"`, 'g'))].flatMap(
    ([, values = '']) => values.split('|'),
  );

it('there is a dashboard for each reader, under an address that stays', () => {
  expect(dashboards.map(({ file, json }) => [file, json.uid]).sort()).toEqual([
    ['cost.json', 'anneal-cost'],
    ['ml-engineer.json', 'anneal-ml-engineer'],
    ['operator.json', 'anneal-operator'],
    ['security.json', 'anneal-security'],
  ]);
});

describe.each(dashboards)('$file', ({ json }) => {
  const panels = json.panels.filter(({ type }) => type !== 'row');
  const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

  it('can be provisioned: no id of its own, and the data source is a variable', () => {
    expect(json.id).toBeUndefined();
    expect(json.schemaVersion).toBeGreaterThanOrEqual(36);
    expect(json.templating.list).toContainEqual(
      expect.objectContaining({ name: 'datasource', type: 'datasource', query: 'prometheus' }),
    );
    const sources = panels.flatMap(({ datasource, targets = [] }) => [
      datasource?.uid,
      ...targets.map((target) => target.datasource.uid),
    ]);
    expect(new Set(sources)).toEqual(new Set(['${datasource}']));
  });

  it('asks for nothing that the code does not emit', () => {
    const known = knownSeries();
    expect(expressions.length).toBeGreaterThan(10);
    for (const expression of expressions)
      expect(`${expression}: ${namesIn(expression).length > 0 ? 'names a metric' : ''}`).toMatch(
        /names a metric$/,
      );
    expect(expressions.flatMap((text) => unknownIn(text, known))).toEqual([]);
  });

  it('names no value of a label that the code does not emit', () => {
    const values = knownValues();
    const wrong = expressions.flatMap((text) => unknownValuesIn(text, values));
    // Nobody knows the values of a label that begins with its first event, such as the name of an activity.
    expect(wrong.filter((one) => !one.endsWith('?'))).toEqual([]);
  });

  it('names workflows, activities and operations that exist', () => {
    const text = expressions.join('\n');
    const types = valuesOf('workflow_type', text);
    expect(types.filter((type) => !(type in workflows))).toEqual([]);
    const sources = listFiles('src/activities', /\.ts$/).map(readText).join('\n');
    const activities = valuesOf('activity', text);
    expect(activities.filter((name) => !new RegExp(`\\b${name}\\b`).test(sources))).toEqual([]);
    const api = readText('openapi.json');
    const operations = [...text.matchAll(/\boperation="([^"]+)"/g)].map(([, name = '']) => name);
    expect(operations.filter((name) => !api.includes(`"operationId": "${name}"`))).toEqual([]);
  });

  it('says of every panel what it shows and in which unit', () => {
    for (const { title, description, fieldConfig, targets = [] } of panels) {
      expect(title).toMatch(/^[A-Z0-9]/i);
      expect(`${title}: ${description}`).toMatch(/: .{10,}\.$/);
      expect(`${title}: ${fieldConfig?.defaults.unit ?? ''}`).toMatch(/: .+$/);
      expect(targets.length).toBeGreaterThan(0);
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    }
  });

  it('gives every panel an id and a place of its own', () => {
    expect(new Set(json.panels.map(({ id }) => id)).size).toBe(json.panels.length);
    const clashes = json.panels.flatMap((a, at) =>
      json.panels
        .slice(at + 1)
        .filter((b) => overlap(a.gridPos, b.gridPos))
        .map((b) => `${a.title} × ${b.title}`),
    );
    expect(clashes).toEqual([]);
    for (const { gridPos } of json.panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });
});
