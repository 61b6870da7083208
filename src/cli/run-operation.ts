import { z } from 'zod';
import { callApi, UnreachableError, type ApiAnswer, type ApiTarget } from './call-api.js';
import { asOption, chooseKey } from './choose-key.js';
import type { CliDeps } from './cli-deps.js';
import { operationsOf, type CliOperation } from './operations-of.js';
import { proposeNext, readerOf, type NextCommand } from './propose-next.js';
import { readBody, readUpload } from './read-body.js';
import { hintKeys, showRefusal } from './refused-error.js';
import { renderProvenance } from './render-provenance.js';
import { renderResult } from './render-result.js';
import { renderVerdict } from './render-verdict.js';
import { UsageError } from './usage-error.js';
import { waitMsOf } from './wait-ms-of.js';
import { waitForResult, type WaitEnd } from './wait-for-result.js';

/** What the command line gave for one operation. */
export interface OperationCall {
  /** Path and query parameters by their names in the document. */
  path: Record<string, string | undefined>;
  query: Record<string, string | undefined>;
  file?: string | undefined;
  options?: string | undefined;
  set?: string[] | undefined;
  /** `true`: as long as usual; else seconds as text. */
  wait?: string | true | undefined;
  idempotencyKey?: string | undefined;
  ifMatch?: string | undefined;
  output: 'table' | 'json';
  apiUrl?: string | undefined;
  apiKey?: string | undefined;
  role?: string | undefined;
  /** `audit verify` alone: the tenant whose chain is meant. */
  tenant?: string | undefined;
}

/** The JSON of the body, and the path parameters that it carries in its own fields. */
interface Content {
  json: unknown;
  path: Record<string, string>;
}

/** A file may name a path parameter beside the body's own fields: it goes into the path. */
function splitContent(operation: CliOperation, json: unknown): Content {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return { json, path: {} };
  const names = operation.pathParameters.map(({ name }) => name);
  const isPath = ([name, value]: [string, unknown]) =>
    names.includes(name) &&
    !operation.bodyFields.some((field) => field.name === name) &&
    (typeof value === 'string' || typeof value === 'number');
  const entries = Object.entries(json);
  return {
    json: Object.fromEntries(entries.filter((entry) => !isPath(entry))),
    path: Object.fromEntries(entries.filter(isPath).map(([name, value]) => [name, String(value)])),
  };
}

async function contentOf(
  deps: CliDeps,
  operation: CliOperation,
  call: OperationCall,
): Promise<Content> {
  if (operation.body === 'none') return { json: undefined, path: {} };
  const file = operation.body === 'upload' ? call.options : call.file;
  const json = await readBody(deps, { file, set: call.set });
  if (json === undefined && operation.bodyRequired) {
    const option = operation.body === 'upload' ? '--options <file>' : '--file <file>';
    const command = `anneal ${operation.noun} ${operation.verb}`;
    throw new UsageError(
      `This needs a body: give ${option} or --set key=value; \`${command} --help\` shows one.`,
    );
  }
  return splitContent(operation, json ?? {});
}

function pathOf(operation: CliOperation, call: OperationCall, fromFile: Record<string, string>) {
  const missing: string[] = [];
  const path = operation.path.replaceAll(/\{([^{}]+)\}/g, (_whole, name: string) => {
    const value = call.path[name] ?? fromFile[name];
    if (value === undefined || value === '') missing.push(`<${name}>`);
    return encodeURIComponent(value ?? '');
  });
  if (missing.length > 0) {
    const names = operation.pathParameters.map(({ name }) => `<${name}>`).join(' ');
    throw new UsageError(
      `Missing: ${missing.join(' ')}. Usage: anneal ${operation.noun} ${operation.verb} ${names}`,
    );
  }
  const given = Object.entries(call.query).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const query = new URLSearchParams(given).toString();
  return query === '' ? path : `${path}?${query}`;
}

async function bodyOf(operation: CliOperation, call: OperationCall, json: unknown) {
  if (operation.body === 'none') return {};
  if (operation.body === 'json') return { body: JSON.stringify(json) };
  if (call.file === undefined) throw new UsageError('Missing: --file <data file>.');
  return { body: await readUpload(json, call.file) };
}

const epochHeader = (epoch: string): string => (epoch.startsWith('"') ? epoch : `"${epoch}"`);

/** What is printed of a result, and whether the command succeeded. */
function report(deps: CliDeps, call: OperationCall, shown: { id: string; body: unknown }): number {
  if (shown.id === 'audit.verify') {
    const tenant = call.tenant === 'system' ? undefined : call.tenant;
    const verdict = renderVerdict(deps.io, shown.body, tenant);
    const json = call.output === 'json';
    deps.io.out(json ? renderResult(deps.io, 'json', shown.body) : verdict.text);
    if (json && !verdict.intact) deps.io.err(verdict.text);
    return verdict.intact ? 0 : 1;
  }
  const chain = call.output === 'table' ? renderProvenance(deps.io, shown) : undefined;
  deps.io.out(chain ?? renderResult(deps.io, call.output, shown.body));
  return 0;
}

/** Says which command comes next, where one does. */
async function propose(
  deps: CliDeps,
  call: OperationCall,
  next: NextCommand | undefined,
): Promise<void> {
  if (next === undefined) return;
  const as = await asOption(deps, call, next.permission);
  deps.io.err(`  next: anneal ${next.command}${as}`);
}

async function reportWait(
  deps: CliDeps,
  call: OperationCall,
  ended: { operation: CliOperation; end: WaitEnd; timeoutMs: number },
): Promise<number> {
  const { operation, end, timeoutMs } = ended;
  const { outcome, answer, state } = end;
  if (outcome === 'refused') return showRefusal(deps, call.output, answer);
  deps.io.out(renderResult(deps.io, call.output, answer.body));
  const operations = operationsOf(deps.document);
  if (outcome === 'open')
    deps.io.err(`Still ${state} after ${timeoutMs / 1_000} s; it goes on without this command.`);
  if (outcome === 'needs-person') deps.io.err(`${state}: a person has to decide.`);
  const next = proposeNext(operations, operation.id, answer.body);
  if (outcome === 'succeeded') {
    if (call.output === 'table') await propose(deps, call, next);
  } else if (outcome !== 'failed')
    await propose(deps, call, next ?? readerOf(operations, end.self));
  return outcome === 'succeeded' ? 0 : 1;
}

const startedSchema = z.looseObject({ links: z.looseObject({ self: z.string() }) });

/** What follows an answer that nothing was waited for: where it started something, a look at that. */
function followUp(deps: CliDeps, operation: CliOperation, answer: ApiAnswer) {
  const operations = operationsOf(deps.document);
  const started = answer.status === 202 ? startedSchema.safeParse(answer.body).data : undefined;
  return started === undefined
    ? proposeNext(operations, operation.id, answer.body)
    : readerOf(operations, started.links.self);
}

/** Sends the request of one command; a mutation carries its idempotency key, which a lost answer makes known. */
async function send(
  deps: CliDeps,
  request: { operation: CliOperation; call: OperationCall; target: ApiTarget; content: Content },
): Promise<ApiAnswer> {
  const { operation, call, target, content } = request;
  const mutates = operation.method !== 'GET';
  const key = call.idempotencyKey ?? deps.newKey();
  const headers = {
    ...(mutates ? { 'Idempotency-Key': key } : {}),
    ...(call.ifMatch === undefined ? {} : { 'If-Match': epochHeader(call.ifMatch) }),
  };
  const path = pathOf(operation, call, content.path);
  const body = await bodyOf(operation, call, content.json);
  try {
    return await callApi(deps, target, { method: operation.method, path, headers, ...body });
  } catch (error) {
    if (mutates && error instanceof UnreachableError)
      deps.io.err(`Whether it took effect is not known: repeat the command with --key ${key}.`);
    throw error;
  }
}

/**
 * Runs one operation: request, answer, and with `--wait` its result.
 * @returns the exit code: 0 done, 1 refused or failed
 * @throws UsageError, UnreachableError
 */
export async function runOperation(
  deps: CliDeps,
  operation: CliOperation,
  call: OperationCall,
): Promise<number> {
  const timeoutMs = call.wait === undefined ? undefined : waitMsOf(call.wait);
  const content = await contentOf(deps, operation, call);
  pathOf(operation, call, content.path);
  const apiKey = await chooseKey(deps, call, operation.permission);
  const target = { apiUrl: call.apiUrl ?? deps.apiUrl, apiKey };
  const answer = await send(deps, { operation, call, target, content });
  if (answer.status >= 400) {
    const code = showRefusal(deps, call.output, { ...answer, sent: content.json });
    await hintKeys(deps, call.output, answer);
    return code;
  }
  if (timeoutMs !== undefined && answer.status === 202) {
    const { verb } = operation;
    const end = await waitForResult(deps, target, { verb, started: answer.body, timeoutMs });
    if (end !== undefined) return reportWait(deps, call, { operation, end, timeoutMs });
  }
  const code = report(deps, call, { id: operation.id, body: answer.body });
  if (call.output === 'table') await propose(deps, call, followUp(deps, operation, answer));
  return code;
}
