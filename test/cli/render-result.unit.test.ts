import fc from 'fast-check';
import { renderResult } from '../../src/cli/render-result.js';

const at = (columns: number) => (body: unknown) => renderResult({ columns }, 'table', body);
const narrow = at(80);
const widest = (text: string) => Math.max(...text.split('\n').map((line) => line.length));

describe('tables', () => {
  it('shows a page as rows, names what is left out, and how to go on', () => {
    const text = narrow({
      items: [
        { id: 'run_1', hash: 'f'.repeat(64), state: 'RUNNING', links: { self: '/x' }, at: 'now' },
        {
          id: 'run_2',
          hash: 'f'.repeat(64),
          state: 'FAILED',
          links: { self: '/y' },
          at: 'x'.repeat(30),
        },
      ],
      nextCursor: 'abc',
    });
    expect(text).toContain('run_2');
    expect(text).toContain('FAILED');
    expect(text).toContain('also, in --output json: hash, links');
    expect(text).toContain('more: --cursor abc');
  });

  it('keeps what a row is about: short words of nested values, no empty column, times to the second', () => {
    const row = {
      id: 'apr_01M80Z8DREZX6CEXSK240C5E58',
      subjectDigest: `sha256:${'a'.repeat(64)}`,
      evaluationId: 'evl_01M80Z8DREZX6CEXSK240C5E58',
      model: 'loan-default',
      version: 2,
      env: 'prod',
      state: 'APPROVED',
      required: 1,
      closedAt: null,
      createdAt: '2026-11-22T06:38:26.931Z',
    };
    const [head = ''] = narrow({ items: [row] })
      .split('\n')
      .slice(1);
    expect(head.split('│').map((name) => name.trim())).toEqual([
      '',
      'id',
      'model',
      'version',
      'env',
      'state',
      '',
    ]);
    const kill = { id: 'kil_1', scope: { level: 'model', model: 'churn' }, liftedAt: null };
    const shown = narrow({
      items: [{ ...kill, createdAt: row.createdAt, latencyMs: 57.2861328125 }],
    });
    expect(shown).toMatch(/kil_1 │ model churn │ 2026-11-22T06:38:26Z │ 57.29 /);
    expect(shown).toContain('also, in --output json: liftedAt');
  });

  it('narrows a long name before it is left out', () => {
    const document = { id: 'd'.repeat(36), key: `guides/${'k'.repeat(60)}.md`, state: 'INDEXED' };
    const shown = narrow({ items: [document] });
    expect(widest(shown)).toBeLessThanOrEqual(80);
    expect(shown.replaceAll(/[^a-z/.]/g, '')).toContain('guides/');
    expect(shown).toContain('INDEXED');
  });

  it('says that a page is empty', () => {
    expect(narrow({ items: [] })).toBe('none');
  });

  it('keeps control characters of a server away from the terminal', () => {
    expect(narrow({ name: 'a\u001b[31mb\u0007' })).toContain('a [31mb ');
  });

  it('fits 80 columns whatever the fields are, and keeps the whole of each single object', () => {
    const word = fc.stringMatching(/^[a-z0-9]{1,90}$/);
    const name = fc.stringMatching(/^[a-zA-Z]{1,25}$/);
    fc.assert(
      fc.property(fc.dictionary(name, word, { minKeys: 1, maxKeys: 12 }), (object) => {
        const text = narrow(object);
        expect(widest(text)).toBeLessThanOrEqual(80);
        const cells = text.replaceAll(/[^a-zA-Z0-9]/g, '');
        for (const value of Object.values(object))
          if (value.length <= 40) expect(cells).toContain(value);
        const table = narrow({ items: [object, object] }).split('\nalso, ')[0] ?? '';
        expect(widest(table)).toBeLessThanOrEqual(80);
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  it('cuts a long nested value and says where the whole is; text stays whole', () => {
    const nested = { list: Array.from({ length: 300 }, (_, at) => at), text: 'w'.repeat(900) };
    const shown = narrow(nested);
    const rows = shown.split('\n').filter((line) => line.includes('│'));
    expect(shown.replaceAll(/[^a-z0-9-]/g, '')).toContain('1091characterswholein--outputjson');
    expect(shown).not.toContain('299');
    expect(shown.match(/w/g)).toHaveLength(901);
    expect(rows.length).toBeLessThanOrEqual(6 + 14);
    expect(widest(shown)).toBeLessThanOrEqual(80);
  });

  it('says of an evaluation how each criterion was judged, and why', () => {
    const criterion = {
      vs: 'absolute',
      severity: 'block',
      ci: 0.95,
      interval: { low: 0, high: 1 },
    };
    const shown = narrow({
      id: 'evl_1',
      verdict: 'INCONCLUSIVE',
      report: {
        criteria: [
          {
            ...criterion,
            bound: 0.7,
            id: 'accuracy-vs-the-champion',
            verdict: 'PASS',
            value: 0.951234,
          },
          {
            ...{ id: 'margin', verdict: 'INCONCLUSIVE', bound: 0, value: -0.004 },
            interval: { low: -0.0161, high: 0.00812 },
          },
          { id: 'leak', reason: 'NO_PROTECTED_ATTRIBUTE', verdict: 'INCONCLUSIVE', value: null },
        ],
      },
    });
    expect(widest(shown)).toBeLessThanOrEqual(80);
    const below = shown.split('\n').slice(-7).join('\n');
    expect(below).toMatch(/id +│ verdict +│ reason +│ value/);
    expect(below).toMatch(/accuracy-vs-the-champion │ PASS +│ +│ 0.9512/);
    expect(below).toMatch(/margin +│ INCONCLUSIVE │ -0.0161 … 0.00812 spans 0 │ -0.004/);
    expect(below).toMatch(/leak +│ INCONCLUSIVE │ NO_PROTECTED_ATTRIBUTE +│/);
  });

  it('leaves JSON as it came', () => {
    const body = { items: [{ id: 1 }], nextCursor: 'x' };
    expect(JSON.parse(renderResult({ columns: 80 }, 'json', body))).toEqual(body);
  });
});
