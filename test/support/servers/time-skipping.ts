import { execFile } from 'node:child_process';
import { access, chmod, constants, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The Java test server of Temporal: time passes as fast as nothing happens. */
const pin = { group: 'io.temporal', artifact: 'temporal-test-server', version: '1.38.0' };

export interface TimeSkippingOptions {
  /** `ANNEAL_CACHE_DIR`. */
  cacheDir: string;
  /** PATH, HOME and proxies for Java and Maven; `ANNEAL_TEST_TIME_SKIPPING_SERVER` where one is given. */
  env: Readonly<Record<string, string | undefined>>;
  log: (line: string) => void;
}

/**
 * An executable that starts the time-skipping server, for
 * `TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path } } })`: the given
 * one, else obtained from Maven Central into the cache folder (38 MB, once). Undefined, after a line
 * `NOT RUN: <reason>`, where Java or Maven is missing: the timer stories then use short durations.
 */
export async function obtainTimeSkippingServer(
  options: TimeSkippingOptions,
): Promise<string | undefined> {
  const { cacheDir, env, log } = options;
  const notRun = (reason: string) => {
    log(`NOT RUN: time-skipping server: ${reason}`);
    return undefined;
  };
  const given = env['ANNEAL_TEST_TIME_SKIPPING_SERVER'];
  if (given !== undefined && given !== '') {
    return (await isExecutable(given)) ? given : notRun(`${given} cannot be executed`);
  }
  if (!(await runs('java -version', env))) return notRun('Java is not on PATH');
  const folder = join(cacheDir, `${pin.artifact}-${pin.version}`);
  const path = join(folder, pin.artifact);
  if (await isExecutable(path)) return path;
  if (!(await runs('mvn --version', env))) return notRun('Maven is not on PATH');
  try {
    log(`fetching ${pin.artifact} ${pin.version}`);
    await obtain(folder, env);
    return path;
  } catch (error) {
    const said = error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error);
    const line = said.split('\n').find((each) => each.includes('ERROR')) ?? said;
    return notRun(`${pin.artifact} ${pin.version} cannot be had from Maven (${line.trim()})`);
  }
}

async function obtain(folder: string, env: TimeSkippingOptions['env']): Promise<void> {
  const fresh = `${folder}.${process.pid}.tmp`;
  try {
    await mkdir(fresh, { recursive: true });
    await writeFile(join(fresh, 'pom.xml'), pom);
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime'];
    await promisify(execFile)('mvn', ['-q', '-B', ...goal, '-DoutputDirectory=lib'], {
      cwd: fresh,
      env: { ...env },
      timeout: 300_000,
    });
    const script = join(fresh, pin.artifact);
    await writeFile(script, startScript(join(folder, 'lib')));
    await chmod(script, 0o755);
    await rename(fresh, folder).catch((error: NodeJS.ErrnoException) => {
      // Another run was faster.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>anneal</groupId><artifactId>test-server</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>${pin.group}</groupId><artifactId>${pin.artifact}</artifactId><version>${pin.version}</version>
    </dependency>
  </dependencies>
</project>
`;

/** The SDK appends the port. It ends the process it started, so the script must become Java and not its parent. */
const startScript = (lib: string) => `#!/bin/sh
exec java -XX:TieredStopAtLevel=1 -cp '${lib}/*' io.temporal.testserver.TestServer "$@"
`;

async function runs(commandLine: string, env: TimeSkippingOptions['env']): Promise<boolean> {
  const [command = '', ...args] = commandLine.split(' ');
  return promisify(execFile)(command, args, { env: { ...env }, timeout: 60_000 }).then(
    () => true,
    () => false,
  );
}

const isExecutable = (path: string) =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
