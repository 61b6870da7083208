/**
 * `describe` for tests that need a real server, which `server` is or gives the reason for its absence: then they are
 * reported as skipped, and the reason is printed.
 */
export function describeWithServer<Server extends object>(
  server: Server | string,
  title: string,
  tests: (server: Server) => void,
): void {
  if (typeof server !== 'string') {
    describe(title, () => tests(server));
    return;
  }
  console.warn(`skipped: ${title}: ${server}`);
  // The tests are declared, not run, so nothing reads from it but their titles and limits.
  const absent = new Proxy({} as Server, { get: () => '' });
  describe.skip(`${title} [skipped: ${server}]`, () => tests(absent));
}
