import { existsSync, readFileSync } from 'node:fs';
import { canaryTexts } from '../../../src/domain/etl/canary.js';
import { readLedger } from '../../support/servers/embedding-provider.js';
import { serveCalls } from '../serve-calls.js';
import { checkInFlight } from './check-in-flight.js';
import { checkSettled, type Look } from './check-settled.js';
import type { Books, Finding, Verdict } from './findings.js';
import { createReader, type FoundHit, type Reader, type ReaderSetup } from './reader.js';
import { embedDigests, nameOf, SourceModel, textDigest, type LogLine } from './source-model.js';

// The checker of a run: reads the driver's log, the provider's books, the API, the store's files and Postgres, and says
// where they differ. It has no part in what happens.

export interface CheckerSetup extends ReaderSetup {
  logFile: string;
  ledgerFile: string;
}

/** Documents that did not change and are looked at all the same. */
const SAMPLE = 6;
const CITATIONS_KEPT = 300;

let setup: CheckerSetup;
let reader: Reader;
let model = new SourceModel();
let read = 0;
/** Lines of the provider's books that were there before this run's sources. */
let earlierCalls = 0;
let sampled = 0;
let changed = new Set<string>();
const formerBodies = new Set<string>();
const cited = new Map<string, FoundHit['citation']>();
const canaries = new Set(canaryTexts.map(textDigest));

/** Takes in what the driver has written since. */
function readLog(): void {
  if (!existsSync(setup.logFile)) return;
  const lines = readFileSync(setup.logFile, 'utf8').split('\n').slice(0, -1);
  for (const text of lines.slice(read)) {
    const line = JSON.parse(text) as LogLine;
    const before = model.allowed(nameOf(line)).states.at(-1);
    for (const { body } of before?.sections ?? []) formerBodies.add(body);
    model.read(line);
    changed.add(nameOf(line));
  }
  read = lines.length;
}

/** The changed documents and some others, a different few each time. */
function toLookAt(full: boolean): string[] {
  const names = model.names().sort();
  if (full) return names;
  const others = names.filter((name) => !changed.has(name));
  const some = Array.from(
    { length: Math.min(SAMPLE, others.length) },
    (_, at) => others[(sampled + at) % others.length] ?? '',
  );
  sampled += SAMPLE;
  return [...changed, ...some];
}

const lookAt = (names: readonly string[]): Look => {
  const bodies = new Set(
    [...model.expected().values()].flatMap(({ sections }) => sections.map(({ body }) => body)),
  );
  return {
    reader,
    model,
    refresh: readLog,
    names,
    formerBodies: [...formerBodies].filter((body) => !bodies.has(body)),
    cited,
  };
};

/** The provider's books against the source: every text of it was paid for, nothing else was, and how often. */
function checkBooks(found: Finding[] | undefined): Books {
  const paid = readLedger(setup.ledgerFile)
    .slice(earlierCalls)
    .flatMap(({ inputs }) => inputs)
    .filter((digest) => !reader.isQuestion(digest) && !canaries.has(digest));
  const own = new Set(paid);
  const strange = [...own].filter((digest) => !model.knows(digest)).length;
  if (strange > 0)
    found?.push({
      kind: 'cost',
      path: 'ledger',
      detail: `${strange} texts that no source ever had`,
    });
  const unpaid = [...model.expected().values()]
    .flatMap(embedDigests)
    .filter((digest) => !own.has(digest)).length;
  if (unpaid > 0)
    found?.push({ kind: 'cost', path: 'ledger', detail: `${unpaid} spans were never embedded` });
  return { paid: paid.length, changed: own.size };
}

async function looking(look: (found: Finding[]) => Promise<number>): Promise<Verdict> {
  const before = reader.reads();
  const findings: Finding[] = [];
  const documents = await look(findings);
  return { findings, documents, reads: reader.reads() - before, books: checkBooks(undefined) };
}

const COPIES_MS = 15_000;

/** The store's copies of access lists follow the ledger a moment later (W3); nothing else has any time left. */
async function whenCopiesFollowed(look: () => Promise<Finding[]>): Promise<Finding[]> {
  const deadline = performance.now() + COPIES_MS;
  for (;;) {
    const found = await look();
    const onlyCopies =
      found.some(({ detail }) => detail.endsWith('earlier access list')) &&
      found.every((one) => one.path === 'filter' || one.detail.endsWith('earlier access list'));
    if (found.length === 0 || !onlyCopies || performance.now() > deadline) return found;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

serveCalls({
  setup: async (given: CheckerSetup) => {
    setup = given;
    reader = createReader(given);
    model = new SourceModel();
    earlierCalls = existsSync(given.ledgerFile) ? readLedger(given.ledgerFile).length : 0;
  },
  /** Everything has arrived: what is read equals the sources. */
  settled: async ({ full }: { full: boolean }): Promise<Verdict> =>
    looking(async (found) => {
      readLog();
      const names = toLookAt(full);
      found.push(...(await whenCopiesFollowed(() => checkSettled(lookAt(names)))));
      checkBooks(found);
      model.settle();
      changed = new Set();
      formerBodies.clear();
      for (const pair of [...cited.keys()].slice(0, -CITATIONS_KEPT)) cited.delete(pair);
      return names.length;
    }),
  /** Changes are on their way. */
  inFlight: async (): Promise<Verdict> =>
    looking(async (found) => {
      readLog();
      const names = [...changed];
      found.push(...(await checkInFlight(lookAt(names))));
      return names.length;
    }),
  books: async () => checkBooks(undefined),
});
