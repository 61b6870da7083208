import { loadConfig } from '../../../src/config.js';
import { startApi } from '../../../src/main/api.js';
import { runProcess } from '../../../src/main/run-process.js';
import { announceIfArmed, untilBegin } from '../announce-failpoint.js';
import { partsWithFailpoints } from './with-failpoints.js';

// The product's API with the failpoint port around its database and its starter.

await untilBegin();
await runProcess('api', () =>
  startApi(loadConfig(), { parts: partsWithFailpoints('api', announceIfArmed) }),
);
