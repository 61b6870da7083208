/**
 * The releases that every way of finding a Temporal server ends at. `server` and `ui` are what CLI `cli` contains;
 * tools/temporal-dev/go.mod names the same two, and a test compares them.
 */
export const temporalPins = {
  cli: '1.9.1',
  server: '1.32.0',
  ui: '2.54.1',
  /** Worker deployment versions, priority, fairness and the patches of CVE-2025-14986 and CVE-2025-14987. */
  oldestServer: '1.29.1',
  /** The Go release that the server module asks for. */
  oldestGo: '1.26',
  /** SHA-256 of the release's archives, as its `checksums.txt` lists them. */
  cliSha256: {
    'linux-x64': '09a0326a51db84d02735e53542b9ebd8c4758daf47482a9ab0abce15844e60d5',
    'linux-arm64': '6c57c352d52fc3df34412376fd9ba6f74b7e3ace8e426e6cba8600156d36a145',
    'darwin-x64': '48cdd6c84c56e27ae8e4d9a47052b89289a9c552dee029b49dd312c6fb72873f',
    'darwin-arm64': '41e0425378fcb4fb5766340b97435e20fe47bbff2d7bf644ec2d51f7662b7c56',
  },
} as const satisfies {
  cli: string;
  server: string;
  ui: string;
  oldestServer: string;
  oldestGo: string;
  cliSha256: Record<string, string>;
};

/** The versions that a server binary reports. */
export interface TemporalVersions {
  serverVersion: string;
  uiVersion: string | undefined;
}

/**
 * Reads `… (Server 1.32.0, UI 2.54.1)`, the form of `temporal --version` and of tools/temporal-dev.
 * Undefined where no server version is named.
 */
export function parseVersionOutput(output: string): TemporalVersions | undefined {
  const serverVersion = /\bServer v?(\d+\.\d+\.\d+[\w.+-]*)/.exec(output)?.[1];
  const uiVersion = /\bUI v?(\d+\.\d+\.\d+[\w.+-]*)/.exec(output)?.[1];
  return serverVersion === undefined ? undefined : { serverVersion, uiVersion };
}

/**
 * True where `version` is `minimum` or newer, compared number by number; missing numbers count as 0. A pre-release
 * (`1.29.1-rc.1`) is older than its release, as in Semantic Versioning 2.0.0 §11.3.
 */
export function isAtLeast(version: string, minimum: string): boolean {
  const numbers = (text: string) => (text.match(/^[\d.]+/)?.[0] ?? '').split('.').map(Number);
  const [have, want] = [numbers(version), numbers(minimum)];
  for (let index = 0; index < Math.max(have.length, want.length); index += 1) {
    const difference = (have[index] ?? 0) - (want[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return !/^[\d.]+-/.test(version) || /^[\d.]+-/.test(minimum);
}

/** `linux-x64` and the like: the key of {@link temporalPins}.cliSha256 for a machine. */
export const platformKey = (platform: string, arch: string): string => `${platform}-${arch}`;
