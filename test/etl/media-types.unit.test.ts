import { detectType } from '../../src/domain/etl/detect-type.js';
import { mediaTypeOf } from '../../src/domain/etl/media-type-of.js';

const text = new TextEncoder().encode('a\tb\n1\t2\n');

test.each([
  ['table.tsv', 'text/csv'],
  ['page.XHTML', 'text/html'],
  ['page.htm', 'text/html'],
  ['log.ndjson', 'application/x-ndjson'],
  ['notes.markdown', 'text/markdown'],
])('%s is the same where it is taken in and where it is read', (name, mediaType) => {
  expect(mediaTypeOf({ names: [name] })).toBe(mediaType);
  expect(detectType(text, name)).toEqual({ mediaType });
});

test('other names of a content type are known where bytes are pushed; what is not read stays refused', () => {
  expect(mediaTypeOf({ declared: 'text/tab-separated-values', names: [] })).toBe('text/csv');
  expect(mediaTypeOf({ names: ['x'], partType: 'application/xhtml+xml; charset=utf-8' })).toBe(
    'text/html',
  );
  expect(mediaTypeOf({ declared: 'image/png', names: ['a.md'] })).toBeUndefined();
  expect(mediaTypeOf({ names: ['logo.png'] })).toBeUndefined();
});
