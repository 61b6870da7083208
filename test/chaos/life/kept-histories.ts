import { createReadStream, createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';

/** A run of a workflow as Temporal has it. */
export interface KeptHistory {
  workflowId: string;
  runId: string;
  type: string;
  status: string;
  history: unknown;
}

const AT_ONCE = 12;

/** Writes the history of every run that Temporal knows, one line each. Answers how many. */
export async function keepHistories(address: string, file: string): Promise<number> {
  const connection = await Connection.connect({ address });
  const client = new Client({ connection });
  const output = createWriteStream(file);
  let count = 0;
  const keep = async (
    runs: AsyncIterator<{
      workflowId: string;
      runId: string;
      type: string;
      status: { name: string };
    }>,
  ) => {
    for (;;) {
      const next = await runs.next();
      if (next.done === true) return;
      const { workflowId, runId, type, status } = next.value;
      const json = historyToJSON(await client.workflow.getHandle(workflowId, runId).fetchHistory());
      const history: unknown = JSON.parse(json);
      const line = JSON.stringify({ workflowId, runId, type, status: status.name, history });
      count += 1;
      if (!output.write(`${line}\n`)) await once(output, 'drain');
    }
  };
  try {
    const runs = client.workflow.list()[Symbol.asyncIterator]();
    await Promise.all(Array.from({ length: AT_ONCE }, () => keep(runs)));
  } finally {
    output.end();
    await once(output, 'finish');
    await connection.close();
  }
  return count;
}

/** The histories of a file, one after the other. */
export async function* readHistories(file: string): AsyncGenerator<KeptHistory> {
  for await (const line of createInterface({ input: createReadStream(file) }))
    yield JSON.parse(line) as KeptHistory;
}
