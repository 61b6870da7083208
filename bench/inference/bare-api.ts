import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import express from 'express';

/** The baseline's API: a route that runs the bare workflow and answers its result. */
const connection = await Connection.connect({ address: String(process.env.BARE_ADDRESS) });
const client = new Client({ connection });
const app = express();
app.use(express.json());
app.post('/bare', async (_request, response) => {
  const workflowId = `bare/${randomUUID()}`;
  const result: unknown = await client.workflow.execute('bare', { workflowId, taskQueue: 'bare' });
  response.json({ workflowId, result });
});
const server = app.listen(Number(process.env.BARE_PORT), '127.0.0.1', () =>
  process.send?.('ready'),
);
process.on('SIGTERM', () => {
  server.closeAllConnections();
  server.close(() => void connection.close().then(() => process.disconnect()));
});
