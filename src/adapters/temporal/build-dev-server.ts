import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { leaveOut } from './leave-out.js';
import { isAtLeast, platformKey, temporalPins } from './temporal-pins.js';

export interface BuildDevServerOptions {
  cacheDir: string;
  /** The folder of tools/temporal-dev. */
  devServerSource: string;
  /** PATH, HOME and GO* for `go`; without HOME the module and build caches go to the cache folder. */
  env: Readonly<Record<string, string | undefined>>;
  log: (line: string) => void;
  signal?: AbortSignal | undefined;
}

const progressMs = 2_000;

/**
 * Where the build of tools/temporal-dev lies in the cache folder: the name holds the versions and a digest of the
 * sources, so a changed program is a new file. Undefined where the sources are absent.
 */
export async function devServerCachePath(
  cacheDir: string,
  devServerSource: string,
): Promise<string | undefined> {
  const names = await readdir(devServerSource).catch((): string[] => []);
  const sources = names.filter((name) => /\.(go|json)$|^go\.(mod|sum)$/.test(name)).sort();
  if (!sources.includes('go.mod')) return undefined;
  const digest = createHash('sha256');
  for (const name of sources) {
    digest.update(`${name}\0`).update(await readFile(join(devServerSource, name)));
  }
  const versions = `${temporalPins.server}-ui${temporalPins.ui}`;
  const machine = platformKey(process.platform, process.arch);
  return join(cacheDir, `temporal-dev-${versions}-${digest.digest('hex').slice(0, 8)}-${machine}`);
}

/**
 * Builds tools/temporal-dev into the cache folder and returns its path; skipped where it is there. About 3 minutes on
 * 2 cores the first time, seconds later. Throws an Error with one sentence where Go is missing, too old or fails.
 */
export async function buildDevServer(options: BuildDevServerOptions): Promise<string> {
  const path = await devServerCachePath(options.cacheDir, options.devServerSource);
  if (path === undefined) throw new Error(`${options.devServerSource} holds no Go program`);
  if (
    await access(path).then(
      () => true,
      () => false,
    )
  )
    return path;
  const env = goEnvironment(options);
  const version = await goVersion(env);
  if (version === undefined) throw new Error('Go is not on PATH');
  if (!isAtLeast(version, temporalPins.oldestGo)) {
    throw new Error(`Go ${version} is older than ${temporalPins.oldestGo}, which the server needs`);
  }
  await mkdir(options.cacheDir, { recursive: true });
  const scratch = `${path}.${process.pid}.tmp`;
  const output = join(scratch, 'temporal-dev');
  try {
    await mkdir(scratch);
    await compile(output, { ...options, env, scratch });
    await rename(output, path);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return path;
}

function goEnvironment({
  env,
  cacheDir,
}: BuildDevServerOptions): Record<string, string | undefined> {
  // Compilers are short-lived and collect less garbage; without cgo no C compiler is needed. Both, and no symbols, save 6 % of processor.
  const building = { CGO_ENABLED: '0', GOGC: '400', ...env };
  if (env['HOME'] !== undefined || env['GOCACHE'] !== undefined) return building;
  return { ...building, GOCACHE: join(cacheDir, 'go-build'), GOPATH: join(cacheDir, 'go') };
}

async function goVersion(env: Record<string, string | undefined>): Promise<string | undefined> {
  // Outside the module: inside it, an older Go would first fetch the toolchain that go.mod asks for.
  const answer = await promisify(execFile)('go', ['version'], { env, cwd: '/' }).catch(
    () => undefined,
  );
  return answer && /\bgo(\d+(?:\.\d+)*)/.exec(answer.stdout)?.[1];
}

/** Of a dev server nobody reads symbols. */
const flags = ['-trimpath', '-buildvcs=false', '-ldflags', '-s -w', '-gcflags=all=-dwarf=false'];

async function compile(
  output: string,
  { devServerSource, env, scratch, log, signal }: BuildDevServerOptions & { scratch: string },
): Promise<void> {
  const started = performance.now();
  let compiled = 0;
  const said: string[] = [];
  const without = await leaveOut({ source: devServerSource, scratch, env });
  const child = spawn('go', ['build', '-v', ...flags, ...without, '-o', output, '.'], {
    cwd: devServerSource,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(signal && { signal }),
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (/^[\w./-]+$/.test(line)) compiled += 1;
    else if (!line.startsWith('go: downloading')) said.push(line);
  });
  const progress = () =>
    log(
      `building the Temporal dev server with Go: ${Math.round((performance.now() - started) / 1_000)} s, ` +
        `${compiled} packages (the first time takes about 3 minutes)`,
    );
  progress();
  const timer = setInterval(progress, progressMs);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (code !== 0)
      throw new Error(`\`go build\` failed: ${said.slice(-3).join(' ') || `code ${code}`}`);
  } finally {
    clearInterval(timer);
  }
}
