import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { serialize } from 'node:v8';
import type { ParsedDocument } from '../../domain/etl/document.js';
import {
  PROGRESS_BYTES,
  writeProgress,
  type ChildOutcome,
  type ParserNotice,
  type ParserStart,
  type ParserTask,
} from './child-protocol.js';
import type { DocumentTask } from './parse-document.js';
import { ParseRefusal } from './parse-refusal.js';

const send = (notice: ParserNotice): void => void process.send?.(notice);

type ParseOne = (task: DocumentTask) => Promise<ParsedDocument>;

async function outcomeOf(parse: ParseOne, task: DocumentTask): Promise<ChildOutcome> {
  try {
    return { result: await parse(task) };
  } catch (error) {
    if (!(error instanceof ParseRefusal)) throw error;
    return { refused: { reason: error.reason, evidence: error.evidence } };
  }
}

function readInput({ inputFile, documents }: ParserTask): Buffer {
  const [only] = documents;
  if (documents.length !== 1 || only === undefined) return readFileSync(inputFile);
  const bytes = Buffer.allocUnsafe(only.length);
  const input = openSync(inputFile, 'r');
  try {
    readSync(input, bytes, 0, only.length, only.offset);
  } finally {
    closeSync(input);
  }
  return bytes;
}

/**
 * Serves parse tasks of the parent process until it ends this one. Before each document it writes its place to the
 * progress file: a synchronous parser that hangs can send nothing, but the file still tells the parent which one it is.
 */
export function serveParser(parse: ParseOne): void {
  const start = ({ data }: ParserStart): void => {
    const progressFile = openSync(data.progressFile, 'w');
    const progress = Buffer.alloc(PROGRESS_BYTES);
    const run = async (task: ParserTask): Promise<void> => {
      const input = readInput(task);
      const outcomes: ChildOutcome[] = [];
      for (const [index, document] of task.documents.entries()) {
        const note = (pages: number, pagesDone: number): void => {
          writeProgress(progress, { task: task.id, index, pages, pagesDone });
          writeSync(progressFile, progress, 0, PROGRESS_BYTES, 0);
        };
        note(0, 0);
        const at = task.documents.length === 1 ? 0 : document.offset;
        const bytes = input.subarray(at, at + document.length);
        const { name, mediaType } = document;
        const { limits } = data;
        const pages = { pagesFile: task.pagesFile, onPages: note };
        outcomes.push(await outcomeOf(parse, { name, mediaType, bytes, limits, progress: pages }));
      }
      writeFileSync(task.outputFile, serialize(outcomes));
      send({ kind: 'done', id: task.id });
    };
    process.on('message', (task: ParserTask) => void run(task));
    send({ kind: 'ready' });
  };
  // A terminal sends Ctrl-C to the whole group; the parent decides when a child ends.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  process.once('message', start);
}
