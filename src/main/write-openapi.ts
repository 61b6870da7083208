import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs, promisify } from 'node:util';
import { openApiDocument } from '../api/openapi.js';
import { isNewMajor, openapiBreaks, openapiDifferences } from './openapi-breaks.js';
import { projectFolder } from './project-folder.js';
import { allRoutes, type AllRouteDeps } from './routes.js';

// Writes openapi.json from the registered routes. With `--check` it compares only: the committed file must be what the
// routes say, and nothing may break a caller of the file at the git ref `--against` (HEAD) within one major version.

/** Stands in for every dependency: routes are described here, none is called. */
const neverCalled: unknown = new Proxy(() => undefined, {
  get: (_target, name) => (typeof name === 'symbol' ? undefined : neverCalled),
  apply: () => {
    throw new Error('a route asked for an answer while it was registered');
  },
});

const path = projectFolder('openapi.json');
const parse = (text: string): unknown => JSON.parse(text);

/** openapi.json at a git ref; undefined where there is no git or no such file. */
async function committedAt(ref: string): Promise<string | undefined> {
  const shown = await promisify(execFile)('git', ['show', `${ref}:openapi.json`], {
    cwd: projectFolder('.'),
    maxBuffer: 64 * 1024 * 1024,
  }).catch(() => undefined);
  return shown?.stdout;
}

/** What is wrong with the committed file; empty where nothing is. */
async function complaints(text: string, against: string): Promise<string[]> {
  const found = await readFile(path, 'utf8').catch(() => undefined);
  if (found === undefined) return ['openapi.json is missing: run `npm run openapi`'];
  const stale =
    found === text
      ? []
      : [
          'openapi.json is not what the routes say: run `npm run openapi`',
          ...openapiDifferences(parse(found), parse(text)).map((line) => `  ${line}`),
        ];
  const base = await committedAt(against);
  if (base === undefined || isNewMajor(parse(base), parse(text))) return stale;
  const breaks = openapiBreaks(parse(base), parse(text));
  if (breaks.length === 0) return stale;
  return [
    ...stale,
    `callers of openapi.json at ${against} would break; keep them working, or raise the major version:`,
    ...breaks.map((line) => `  ${line}`),
  ];
}

const { values } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    against: { type: 'string', default: 'HEAD' },
  },
});
const text = `${JSON.stringify(openApiDocument(allRoutes(neverCalled as AllRouteDeps)), null, 2)}\n`;
if (values.check) {
  const wrong = await complaints(text, values.against);
  if (wrong.length > 0) {
    console.error(wrong.join('\n'));
    process.exitCode = 1;
  }
} else {
  await writeFile(path, text);
  console.log(`wrote ${path}`);
}
