import { readdir, readFile } from 'node:fs/promises';
import { errorTable } from '../../src/domain/errors.js';

const root = new URL('../../src/', import.meta.url);
/** Where a code is explained, and not used. */
const explaining = ['domain/errors.ts', 'main/error-causes.ts'];

test('every error code is one that something answers: a code without a cause explains nothing', async () => {
  const names = await readdir(root, { recursive: true });
  const sources = names.filter(
    (name) => name.endsWith('.ts') && !name.includes('generated') && !explaining.includes(name),
  );
  const texts = await Promise.all(sources.map((name) => readFile(new URL(name, root), 'utf8')));
  // What an endpoint declares it may answer is no reason to answer it.
  const used = texts.join('\n').replaceAll(/\bproblems: \[[^\]]*\]/g, '');
  const unused = Object.keys(errorTable).filter((code) => !used.includes(`'${code}'`));
  expect(unused).toEqual([]);
});
