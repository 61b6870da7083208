import { startEmbeddingProvider } from '../support/servers/embedding-provider.js';
import type { FromChild } from './messages.js';

// The embedding service of a run: a process of its own, its books synced before each answer.

const tell = (message: FromChild): void => void process.send?.(message);
const [ledgerFile = ''] = process.argv.slice(2);
const { port } = await startEmbeddingProvider({ ledgerFile });
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
tell({ note: { name: 'port', value: port } });
tell({ ready: true });
