import { writeFile } from 'node:fs/promises';
import { projectFolder } from './project-folder.js';
import { buildWorkflowBundle } from './workflow-bundle.js';

// Part of `npm run build`: production workers load this file instead of bundling at start (ANNEAL_WORKFLOW_BUNDLE).

const path = projectFolder('dist/workflow-bundle.js');
const { code } = await buildWorkflowBundle();
await writeFile(path, code);
console.log(`wrote ${path}, ${Math.round(code.length / 1024)} KiB`);
