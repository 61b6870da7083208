import { Agent, request } from 'node:http';

/** One request of a closed loop. */
export interface Shot {
  url: URL;
  headers: () => Record<string, string>;
  body: string;
}

/** What a round measured. Times are milliseconds from the first byte sent to the last byte read. */
export interface Round {
  perSecond: number;
  p50: number;
  p95: number;
  p99: number;
  count: number;
  /** Workflow id of the last answer. */
  workflowId: string;
}

const send = (agent: Agent, { url, headers, body }: Shot): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { agent, method: 'POST', headers: headers() }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${response.statusCode}: ${text}`));
      });
    });
    sent.on('error', reject).end(body);
  });

/** The value below which a share of the sorted values lies. */
export const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;

/** `concurrency` callers that each wait for their answer before they ask again, for `ms`. Any failure ends the round. */
export async function loadRound(
  shot: Shot,
  how: { concurrency: number; ms: number },
): Promise<Round> {
  const agent = new Agent({ keepAlive: true, maxSockets: how.concurrency });
  const times: number[] = [];
  let last = '';
  const startedAt = performance.now();
  const caller = async (): Promise<void> => {
    while (performance.now() - startedAt < how.ms) {
      const sentAt = performance.now();
      last = await send(agent, shot);
      times.push(performance.now() - sentAt);
    }
  };
  await Promise.all(Array.from({ length: how.concurrency }, caller));
  const seconds = (performance.now() - startedAt) / 1000;
  agent.destroy();
  times.sort((a, b) => a - b);
  return {
    perSecond: times.length / seconds,
    p50: quantile(times, 0.5),
    p95: quantile(times, 0.95),
    p99: quantile(times, 0.99),
    count: times.length,
    workflowId: (JSON.parse(last) as { workflowId: string }).workflowId,
  };
}
