import { projectFolder } from './project-folder.js';
import { writeWorkflowBundles } from './workflow-bundle.js';

// Part of `npm run build`: production workers load these files instead of bundling at start (ANNEAL_WORKFLOW_BUNDLE). Given a
// path, it replaces the file that a running installation starts its workers with.

const path = process.argv[2] ?? projectFolder('dist/workflow-bundle.js');
await writeWorkflowBundles(path);
console.log(`wrote ${path} and the bundle of the inference queue beside it`);
