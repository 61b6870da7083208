// The environment of native-runtime.mjs: the process itself. What jest changes in it for a file is put back after the file.
export default class NativeEnvironment {
  global = globalThis;
  fakeTimers = null;
  fakeTimersModern = null;
  moduleMocker = null;
  #console = globalThis.console;
  #exit = process.exit;

  /** Jest asks for it to collect coverage; nothing runs in a context of its own here. */
  getVmContext() {
    return null;
  }

  exportConditions() {
    return ['node', 'node-addons'];
  }

  async setup() {
    // Jest maps traces through source maps that it has made itself. Here the loader has made them, and Node applies them.
    Error.prepareStackTrace = undefined;
  }

  async teardown() {
    globalThis.console = this.#console;
    process.exit = this.#exit;
  }
}
