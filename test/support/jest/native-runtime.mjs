import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// Jest without a context and a module registry for each test file: what a file imports is loaded by Node, once a process, as
// the product loads it. The unit tests take a third of the time (docs/benchmarks.md), because a file no longer evaluates a thousand modules of its
// own and no global is looked up through a context. The engine of the tests, its timeouts and hooks, stay jest's own. Files
// that share a process share its modules: a test must leave no state behind in them, which is what the product's own modules
// must not have anyway. Jest loads this file itself, so it is plain JavaScript.

const require = createRequire(import.meta.url);
let files = 0;

/** What jest-circus keeps of a test file: its state, and who listens to it. */
function forgetLastFile() {
  for (const path of Object.keys(require.cache))
    if (path.includes('/jest-circus/build/')) delete require.cache[path];
  for (const symbol of Object.getOwnPropertySymbols(globalThis))
    if (/^(EVENT_HANDLERS|JEST_STATE_SYMBOL)$/.test(symbol.description ?? ''))
      delete globalThis[symbol];
}

export default class NativeRuntime {
  constructor() {
    forgetLastFile();
  }

  requireInternalModule(path) {
    return require(path);
  }

  requireModule(path) {
    return require(path);
  }

  unstable_shouldLoadAsEsm() {
    return true;
  }

  /** A test file is evaluated each time it runs, whatever it imports once. */
  unstable_importModule(path) {
    files += 1;
    return import(`${pathToFileURL(path)}?run=${files}`);
  }

  /** Tests use the globals, which the engine sets itself. */
  setGlobalsForRuntime() {}
  enterTestCode() {}
  leaveTestCode() {}

  getSourceMaps() {
    return null;
  }

  getAllCoverageInfoCopy() {
    return undefined;
  }

  teardown() {}
}
