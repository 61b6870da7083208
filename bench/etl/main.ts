import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { cpuTimes } from '../inference/cpu-time.js';
import { loadDocuments, phases, type Documents, type Phase } from './corpus.js';
import { crashCells, crashHeads, measureCrashes } from './crash.js';
import type { Side } from './engine.js';
import { installForeign, loadLangchain, loadLlamaindex } from './foreign-modules.js';
import { startInstallation, type Installation } from './installation.js';
import { langchainBare, langchainDurable } from './langchain-side.js';
import { llamaindexBare, llamaindexDurable } from './llamaindex-side.js';
import { measureSides } from './measure.js';
import { measureMemory } from './memory.js';
import { measurePipeline, pipelineCells, pipelineHeads } from './pipeline.js';
import { ourBare } from './our-bare-side.js';
import { ourDurable } from './our-durable-side.js';
import { measureQueries, queryCells, queryHeads } from './query.js';
import { resultRows, type Parts } from './result-rows.js';
import { cellsOf, environment, figuresOf, heads, pinCores, tableOf } from './report.js';

// `npm run bench:etl`: bringing an index up to its source, side by side with LangChain.js and LlamaIndex.TS (etl.md §15).

const parts = ['bare', 'durable', 'slow', 'crash', 'query', 'rss', 'pipeline'] as const;
type Part = (typeof parts)[number];

const help = `npm run bench:etl -- [options]

Brings an index up to its source with Anneal, LangChain.js and LlamaIndex.TS: the same documents in memory, the same
embedder, the same chunk size. Prints documents/s and, beside it, what is wrong with each index afterwards.

  --only <parts>   some of ${parts.join(', ')} (separated by commas); default: all
  --phase <name>   shows phases whose name begins so, such as cold or "1 %"; the others run all the same
  --runs <n>       runs that count after one warm-up; default 5
  --sides <names>  some of anneal, langchain, llamaindex; default: all
  --documents <n>  the first n documents of SciFact; default: all 5,183
  --quick          1,000 documents, one run
  --write          also writes the parts that ran into bench/results/etl.json

  bare      the engines alone: rows and records in memory, nothing survives the process
  durable   each as an application keeps it: Postgres and LanceDB, or a document store in a file and LanceDB
  slow      durable, with an embedder that takes 50 ms a call and 1 ms an input and refuses each 20th call (1,000 documents)
  crash     durable, ended at three points and run again (1,000 documents)
  query     hybrid search over 50,000 chunks
  rss       resident memory while 100,000 documents come in
  pipeline  the whole platform as \`npm start\` runs it, following a folder

The documents are read from $APP_TEST_DATA_DIR/scifact, else ../shared/data/scifact.`;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: parts.join(',') },
    phase: { type: 'string', default: '' },
    runs: { type: 'string' },
    sides: { type: 'string', default: 'anneal,langchain,llamaindex' },
    documents: { type: 'string' },
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const SUBSET = 1_000;
const MANY = 100_000;
const runs = Number(options.runs ?? (options.quick ? 1 : 5));
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** CPU time of this process, and of Postgres where a part uses it. */
const cpuMs = (postgresPid?: number) => (): number => {
  const { user, system } = process.cpuUsage();
  const postgres =
    postgresPid === undefined ? 0 : (cpuTimes({ postgres: postgresPid })?.postgres ?? 0);
  return (user + system) / 1_000 + postgres;
};

/** The sides that were asked for, over what they need. */
async function openSides(at: Installation): Promise<{ bare: Side[]; durable: Side[] }> {
  const wanted = new Set(options.sides.split(','));
  const bare: Side[] = [];
  const durable: Side[] = [];
  if (wanted.has('anneal')) {
    bare.push(ourBare);
    durable.push(ourDurable(at));
  }
  if (wanted.size > 1 || !wanted.has('anneal')) installForeign(say);
  if (wanted.has('langchain')) {
    const langchain = await loadLangchain();
    bare.push(langchainBare(langchain));
    durable.push(langchainDurable(langchain, { folder: at.folder, databaseUrl: at.adminUrl }));
  }
  if (wanted.has('llamaindex')) {
    const llamaindex = await loadLlamaindex();
    bare.push(llamaindexBare(llamaindex));
    durable.push(llamaindexDurable(llamaindex, at));
  }
  return { bare, durable };
}

const firstOf = (documents: Documents, count: number): Documents =>
  new Map([...documents].slice(0, count));

/** One part of the benchmark: prints its table and answers its figures. */
async function runPart(part: Part, at: Installation, documents: Documents): Promise<unknown> {
  say(`\n${part}`);
  if (part === 'query') {
    const figures = await measureQueries(at, documents, say);
    say(tableOf(queryHeads, figures.map(queryCells)));
    return figures;
  }
  if (part === 'pipeline') {
    const figures = await measurePipeline(documents, say);
    say(tableOf(pipelineHeads, figures.map(pipelineCells)));
    return figures;
  }
  if (part === 'rss') {
    const figure = await measureMemory(at, documents, options.quick ? SUBSET * 10 : MANY);
    say(
      JSON.stringify(figure, (_, value: unknown) =>
        typeof value === 'number' ? Math.round(value) : value,
      ),
    );
    return figure;
  }
  const sides = await openSides(at);
  if (part === 'crash') {
    const results = await measureCrashes(sides.durable, firstOf(documents, SUBSET), say);
    say(tableOf(crashHeads, results.map(crashCells)));
    return results;
  }
  const shown = ({ name }: Phase): boolean => name.startsWith(options.phase);
  const slow = part === 'slow';
  const measured = await measureSides(part === 'bare' ? sides.bare : sides.durable, {
    documents: slow ? firstOf(documents, SUBSET) : documents,
    phases,
    shown,
    runs,
    slow,
    cpuMs: cpuMs(part === 'bare' ? undefined : at.postgresPid),
    say,
  });
  const figures = figuresOf(measured);
  say(tableOf(heads, figures.map(cellsOf)));
  return figures;
}

/** Keeps each part with the machine and commit that it was measured on; parts that were not run stay as they are. */
async function writeResults(facts: object, results: Record<string, unknown>): Promise<void> {
  const path = new URL('../results/etl.json', import.meta.url);
  const before = await readFile(path, 'utf8').catch(() => '{}');
  const { parts: known = {} } = JSON.parse(before) as { parts?: Record<string, unknown> };
  const measured = Object.entries(results).map(([part, figures]) => [part, { ...facts, figures }]);
  const all = { ...known, ...(Object.fromEntries(measured) as Parts) };
  const { commit, cpu, memoryGiB, node, load } = environment();
  const machine = `${cpu}, ${memoryGiB} GiB, Node ${node}, load average ${load} at the end`;
  const result = { name: 'etl', commit, machine, rows: resultRows(all), parts: all };
  await writeFile(path, `${JSON.stringify(result, null, 2)}\n`);
}

async function main(): Promise<void> {
  const asked = options.only.split(',');
  const unknown = asked.filter((name) => !(parts as readonly string[]).includes(name));
  if (unknown.length > 0) throw new Error(`unknown part: ${unknown.join(', ')}\n\n${help}`);
  const limit = options.documents ?? (options.quick ? SUBSET : Number.POSITIVE_INFINITY);
  const documents = loadDocuments(Number(limit));
  const facts = { ...environment(), cores: pinCores(), documents: documents.size, runs };
  say(JSON.stringify(facts));
  const at = await startInstallation(say);
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void at.stop().finally(() => process.kill(process.pid, signal)));
  // Threads of embedders do not keep a process alive.
  const alive = setInterval(() => undefined, 60_000);
  const results: Record<string, unknown> = {};
  try {
    for (const part of parts)
      if (asked.includes(part)) results[part] = await runPart(part, at, documents);
  } finally {
    clearInterval(alive);
    await at.stop();
  }
  if (options.write) await writeResults(facts, results);
}

if (options.help) say(help);
else
  await main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
