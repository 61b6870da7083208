import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { projectRoot } from './source-tree.js';

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;

/** Tenants that hold synthetic data only: that of a first start, and those that tests make. */
const syntheticTenants = /^(default|approvals|t-[0-9a-f]{8}|(due|mixed)-\d+)$/;

// Payloads carry ids, counts and verdicts; whichever holds one of these holds what belongs to a person.
const personal = [/[\w.+-]+@[\w-]+\.[a-z]{2,}/i, /"(inputs|outputs|subject|email|phone)":/];

/** Every payload of a recorded history as text. */
export function payloadTexts(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(payloadTexts);
  if (typeof value !== 'object' || value === null) return [];
  const { metadata, data } = value as { metadata?: unknown; data?: unknown };
  if (metadata !== undefined && typeof data === 'string') {
    return [Buffer.from(data, 'base64').toString('utf8')];
  }
  return Object.values(value).flatMap(payloadTexts);
}

/** Why a history must not be kept: another tenant's, or with personal data. Undefined where it may. */
export function refusalOf(json: unknown): string | undefined {
  const texts = payloadTexts(json);
  const tenants = texts.flatMap((text) =>
    [...text.matchAll(/"tenant":"([^"]*)"/g)].map(([, tenant]) => tenant ?? ''),
  );
  const foreign = tenants.find((tenant) => !syntheticTenants.test(tenant));
  if (foreign !== undefined) return `it belongs to tenant ${foreign}`;
  if (tenants.length === 0) return 'no payload names its tenant';
  const found = texts.find((text) => personal.some((pattern) => pattern.test(text)));
  return found === undefined ? undefined : `a payload may hold personal data: ${found}`;
}

/** A history as the JSON that replay reads; the names of the machine that ran it are left out. */
export function historyJson(history: History): unknown {
  return JSON.parse(historyToJSON(history), (key, value: unknown) =>
    key === 'identity' && typeof value === 'string' ? 'anneal' : value,
  );
}

/** Writes a recorded history below test/replay. */
export async function writeHistory(path: string, json: unknown): Promise<void> {
  const file = join(projectRoot, 'test/replay', path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(json, null, 1)}\n`);
}
