import { createRandom } from '../../../src/domain/evaluation/random.js';
import { compareRows, repeated } from './findings.js';
import { editDocument, newDocument } from './make-changes.js';
import { differenceOf, SourceModel, spanOf, type Content, type LogLine } from './source-model.js';

const content = (bodies: string[], acl = ['group:data-steward']): Content => ({
  title: 'paper',
  sections: bodies.map((body, at) => ({ name: `part ${at}`, body })),
  acl,
});

const line = (
  phase: LogLine['phase'],
  state: Content | null,
  source: LogLine['source'],
): LogLine => ({
  n: 1,
  phase,
  source,
  key: 'a.md',
  content: state,
});

describe('what a source holds', () => {
  it('is the newest state of each document once everything has arrived', () => {
    const model = new SourceModel();
    for (const state of [content(['one']), content(['two'])]) {
      model.read(line('try', state, 'folder'));
      model.read(line('done', state, 'folder'));
    }
    expect(model.allowed('folder/a.md').states).toHaveLength(3);
    model.settle();
    expect(model.allowed('folder/a.md').states).toEqual([content(['two'])]);
    expect([...model.expected()]).toEqual([['folder/a.md', content(['two'])]]);
  });

  it('is acknowledged where the source tells at once, and found out about where it does not', () => {
    for (const [source, expected] of [
      ['webhook', 1],
      ['folder', 0],
    ] as const) {
      const model = new SourceModel();
      model.read(line('try', content(['one']), source));
      model.read(line('done', content(['one']), source));
      model.settle();
      model.read(line('try', null, source));
      expect(model.allowed(`${source}/a.md`).from).toBe(0);
      model.read(line('done', null, source));
      expect(model.allowed(`${source}/a.md`).from).toBe(expected);
    }
  });
});

describe('a difference', () => {
  const state = content(['one', 'two']);
  const shown = { spans: state.sections.map(spanOf), acl: [...state.acl] };

  it('is none where spans and readers are the same', () => {
    expect(differenceOf(shown, state)).toBeUndefined();
    expect(differenceOf(null, null)).toBeUndefined();
  });

  it.each([
    ['a span that is missing', { ...shown, spans: shown.spans.slice(1) }],
    ['a span of another state', { ...shown, spans: [...shown.spans.slice(1), 'former'] }],
    ['a span that is there twice', { ...shown, spans: [...shown.spans, ...shown.spans] }],
    ['an order that is another', { ...shown, spans: shown.spans.toReversed() }],
    ['a reader too many', { ...shown, acl: [...shown.acl, 'group:red'] }],
    ['a document that is missing', null],
  ])('is %s', (_, other) => {
    expect(differenceOf(other, state)).toEqual(expect.any(String));
  });

  it('is a document that nobody has', () => {
    expect(differenceOf(shown, null)).toBe('is there and should not be');
  });
});

describe('rows', () => {
  it('are compared both ways, and counted', () => {
    expect(compareRows(['a', 'b', 'b', 'x'], ['a', 'b', 'c'])).toEqual({
      orphans: ['x'],
      duplicates: ['b'],
      misses: ['c'],
    });
    expect(repeated(['a', 'a', 'b'], ['a', 'b'])).toBe(1);
    expect(repeated(['a', 'a', 'b'], ['a', 'a', 'b'])).toBe(0);
  });
});

describe('edits', () => {
  it('follow from the seed, never leave a document without a section, and always name a reader', () => {
    const made = () => {
      const random = createRandom(7, 'edits');
      let of = newDocument(random);
      const states: (Content | null)[] = [of.content];
      for (let at = 0; at < 300; at++) {
        const [change] = editDocument(random, of, [of.content]);
        states.push(change?.content ?? null);
        if (change?.content) of = { ...of, content: change.content };
        else of = newDocument(random);
      }
      return states;
    };
    const states = made();
    expect(states).toEqual(made());
    for (const state of states) {
      if (state === null) continue;
      expect(state.sections.length).toBeGreaterThan(0);
      expect(state.acl).toContain('group:data-steward');
    }
  });
});
