import { readFileSync } from 'node:fs';
import {
  callsIn,
  faultsOfCall,
  isProcedure,
  readRunbookPages,
  runbookSteps,
  unmarkedFences,
} from '../support/runbook-pages.js';

const pages = readRunbookPages();

it.each(pages)('every command of $name is executed by CI, or the page says why not', ({ text }) => {
  expect(unmarkedFences(text)).toEqual([]);
});

it.each(pages)('every call that $name proposes can be typed as it stands', ({ text }) => {
  const faults = callsIn(text).flatMap((call) =>
    faultsOfCall(call).map((lacks) => `${call}: ${lacks}`),
  );
  expect(faults).toEqual([]);
});

it.each(pages)('$name goes from the symptom to how it is undone', (page) => {
  if (isProcedure(page)) {
    const found = [...page.text.matchAll(/^\*\*(\w+)\.\*\*/gm)].map(([, step]) => step ?? '');
    expect(found).toEqual(runbookSteps);
    return;
  }
  const [, ...sections] = page.text.split('\n## ');
  expect(sections.length).toBeGreaterThan(0);
  for (const section of sections) {
    const found = runbookSteps.filter((step) => section.includes(`**${step}**`));
    expect({ section, found }).toEqual({ section, found: runbookSteps });
  }
});

it('the operating guide leads to every page', () => {
  const guide = readFileSync(new URL('../../docs/operating.md', import.meta.url), 'utf8');
  const lacking = pages.filter(({ name }) => !guide.includes(`(runbooks/${name}.md)`));
  expect(lacking.map(({ name }) => name)).toEqual([]);
});

it('a fence without a mark, and a call that is refused, are noticed', () => {
  expect(unmarkedFences('Act.\n\n```sh\nls\n```\n')).toEqual(['```sh ls']);
  expect(unmarkedFences('<!-- not run: short -->\n\n```sh\nls\n```\n')).toEqual(['```sh ls']);
  expect(unmarkedFences('<!-- ci -->\n\n```bash\nls\n```\n')).toEqual(['```bash ls']);
  expect(unmarkedFences('<!-- ci: stopped -->\n\n```sh\nls\n```\n')).toEqual([]);
  expect(callsIn('`npx anneal a b`\n```sh\nX=$(npx anneal c d \\\n  --as e | x)\n```\n')).toEqual([
    'anneal a b',
    'anneal c d --as e ',
  ]);
  expect(faultsOfCall('anneal sources pause <id>')).toEqual(['--as', '--set reason=']);
  expect(faultsOfCall('anneal sources pause <id> --as auditor --set reason=x')).toEqual([
    'a role that may: not auditor',
  ]);
  expect(faultsOfCall('anneal sources stop <id> --as steward')).toHaveLength(1);
  expect(faultsOfCall('anneal sources pause <id> --as steward --set reason=x')).toEqual([]);
});
