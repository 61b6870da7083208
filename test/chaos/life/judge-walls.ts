import { readFileSync } from 'node:fs';
import type { Evidence, Judgement } from './evidence.js';
import { readHistories, type KeptHistory } from './kept-histories.js';

// I6 and I7: nothing of one tenant is with another, and no secret is where operators read.

/** Ids of what belongs to a tenant; those of processes (`prc_`) belong to none. */
const ID = '(?!prc)[a-z]{3}_[0-9A-HJKMNP-TV-Z]{26}';
const CANARY = /canary-([a-z]+)-\d+-\d+-xq/g;

/** A history with its payloads in the clear. */
const clearText = ({ history }: KeptHistory): string =>
  JSON.stringify(history).replaceAll(/"data":\s?"([A-Za-z0-9+/=]+)"/g, (_, data: string) =>
    Buffer.from(data, 'base64').toString('utf8'),
  );

/** Which tenants each id occurs under, over every row of every table that has a tenant. */
async function ownersOf({ sql }: Evidence): Promise<Map<string, Map<string, string>>> {
  // Sealed bytes hold no id in the clear, and there are many of them.
  const tables = await sql(`select c.table_name as name,
      string_agg(format('%I::text', c.column_name), ', ') as columns from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = 'public' and t.table_type = 'BASE TABLE' and c.data_type <> 'bytea'
    group by c.table_name having bool_or(c.column_name = 'tenant_id')`);
  const owners = new Map<string, Map<string, string>>();
  for (const { name, columns } of tables) {
    const rows = await sql(
      `select distinct t.tenant_id, m[1] as id from "${String(name)}" t,
         regexp_matches(concat_ws(' ', ${String(columns)}), '(${ID}|canary-[a-z]+-\\d+-\\d+-xq)', 'g') m`,
    );
    for (const { id, tenant_id: tenant } of rows) {
      const of = owners.get(String(id)) ?? new Map<string, string>();
      of.set(String(tenant), String(name));
      owners.set(String(id), of);
    }
  }
  return owners;
}

/** I6: no row, no answer and no history of one tenant holds anything of another. */
export async function judgeTenants(evidence: Evidence): Promise<Judgement> {
  const { sql, lines, setup } = evidence;
  const findings: string[] = [];
  const owners = await ownersOf(evidence);
  const homes = new Map<string, string>();
  for (const [id, of] of owners) {
    const [, home = [...of.keys()][0] ?? ''] = /^canary-([a-z]+)-/.exec(id) ?? [];
    homes.set(id, home);
    const strangers = [...of].filter(([tenant]) => tenant !== home);
    for (const [tenant, table] of strangers)
      findings.push(`${id} of ${home} is in table ${table} of ${tenant}`);
  }
  const misplaced = await sql(`select tenant_id, workflow_id from intent
    where split_part(workflow_id, '/', 2) <> tenant_id or input->>'tenant' <> tenant_id`);
  for (const { tenant_id: tenant, workflow_id: id } of misplaced)
    findings.push(`intent ${String(id)} is ${String(tenant)}'s`);
  let answers = 0;
  for (const line of lines) {
    if (line.line === 'foreign') {
      answers += 1;
      if (line.status >= 200 && line.status < 500 && line.status !== 404 && line.status !== 429)
        findings.push(`${line.tenant} asked for ${line.path} and got ${line.status}`);
    }
    if (line.line !== 'answer' || line.id === undefined) continue;
    answers += 1;
    const home = homes.get(line.id);
    if (home !== undefined && home !== line.tenant)
      findings.push(`${line.tenant} was answered ${line.id} of ${home}`);
  }
  let histories = 0;
  for await (const kept of readHistories(setup.historiesFile)) {
    const tenant = kept.workflowId.split('/')[1] ?? '';
    // Schedules of the platform belong to no tenant.
    if (!setup.tenants.includes(tenant)) continue;
    histories += 1;
    for (const [id] of clearText(kept).matchAll(new RegExp(ID, 'g'))) {
      const home = homes.get(id);
      if (home !== undefined && home !== tenant)
        findings.push(`history ${kept.workflowId} holds ${id} of ${home}`);
    }
  }
  return {
    id: 'I6',
    what: 'ids in rows, answers and histories that stay with their tenant',
    judged: owners.size + answers + histories,
    findings: [...new Set(findings)],
  };
}

/** I7: no canary and no key in a log or in a history. */
export async function judgeCanaries({ lines, setup }: Evidence): Promise<Judgement> {
  const findings: string[] = [];
  const planted = lines.flatMap((line) => (line.line === 'canary' ? [line.text] : []));
  const secrets = planted.filter((text) => !text.startsWith('canary-'));
  secrets.push(new URL(setup.adminUrl).password);
  const search = (text: string, where: string): void => {
    for (const [canary] of text.matchAll(CANARY)) findings.push(`${where} holds ${canary}`);
    for (const secret of secrets)
      if (secret !== '' && text.includes(secret))
        findings.push(`${where} holds a key or password that begins ${secret.slice(0, 12)}`);
  };
  let bytes = 0;
  for (const file of setup.logFiles) {
    const text = readFileSync(file, 'utf8');
    bytes += text.length;
    search(text, `log ${file.split('/').at(-1)}`);
  }
  let histories = 0;
  for await (const kept of readHistories(setup.historiesFile)) {
    histories += 1;
    search(clearText(kept), `history ${kept.workflowId}`);
  }
  return {
    id: 'I7',
    what: 'planted texts and keys that are in no log and in no history',
    judged: planted.length,
    findings: [...new Set(findings)],
    note: `${setup.logFiles.length} logs of ${Math.round(bytes / 1024)} KiB, ${histories} histories`,
  };
}
