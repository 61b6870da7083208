import express, { type NextFunction, type Request, type Response } from 'express';
import helmet from 'helmet';
import { PlatformError } from '../domain/errors.js';
import { docsRouter } from './docs.js';
import { guardRequest } from './guard-request.js';
import { openApiDocument } from './openapi.js';
import { asPlatformError, problemOf } from './problem.js';
import type { Route } from './route.js';
import { serveRoute, type EdgeDeps } from './serve-route.js';

/** Of everything that depends on who asks: no cache keeps it. */
export const PRIVATE_HEADERS = { 'Cache-Control': 'private, no-store', Vary: 'Authorization' };

/** `/v1/approvals/{id}:decide` as Express reads it. */
const expressPath = (path: string): string =>
  path.replaceAll(':', '\\:').replaceAll(/\{([^}]+)\}/g, ':$1');

/** Two routes of one method and path, or one operation id twice, would hide each other: refuse to start. */
function assertUnambiguous(routes: Route[]): void {
  const seen = new Set<string>();
  for (const { spec } of routes) {
    const { operation } = spec;
    for (const name of [`${spec.method} ${spec.path}`, `operation ${operation}`]) {
      if (seen.has(name)) throw new Error(`registered twice: ${name}`);
      seen.add(name);
    }
    if (spec.permission === undefined && spec.public === undefined)
      throw new Error(`${operation} declares no permission`);
  }
}

/**
 * Each path with all its methods, and a refusal that names them for every other one. Literal segments before parameters and
 * longer paths before shorter ones, so that `{id}` swallows neither a literal nor a verb behind it.
 */
function register(app: express.Express, routes: Route[], deps: EdgeDeps): void {
  const parameters = (path: string): number => path.split('{').length;
  const byPath = [...Map.groupBy(routes, ({ spec }) => spec.path)].sort(
    ([a], [b]) => parameters(a) - parameters(b) || b.length - a.length,
  );
  for (const [path, own] of byPath) {
    const at = expressPath(path);
    for (const route of own) app[route.spec.method](at, serveRoute(route, deps));
    const methods = own.map(({ spec }) => spec.method.toUpperCase());
    const allowed = [...methods, ...(methods.includes('GET') ? ['HEAD'] : [])].sort().join(', ');
    app.all(at, (_request, response) => {
      response.set('Allow', allowed);
      throw new PlatformError('METHOD_NOT_ALLOWED', `This path takes ${allowed}.`);
    });
  }
}

/**
 * The public application, built only from registered routes.
 * @throws at start where a route has no permission or is registered twice
 */
export function createApp(routes: Route[], deps: EdgeDeps): express.Express {
  assertUnambiguous(routes);
  const app = express();
  app.disable('x-powered-by');
  app.set('query parser', 'simple');
  // Before anything can refuse: a refusal leaves with the same headers as an answer.
  app.use(helmet({ contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } } }));
  app.use('/v1', (_request, response, next) => {
    response.set(PRIVATE_HEADERS);
    next();
  });
  app.use(guardRequest(deps.hosts));
  const document = openApiDocument(routes);
  app.get('/openapi.json', (_request, response) => void response.json(document));
  app.use('/docs', docsRouter());
  register(app, routes, deps);
  app.use((_request, _response) => {
    throw new PlatformError('NOT_FOUND', 'There is no such route; /openapi.json lists them all.');
  });
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    const refusal = asPlatformError(error);
    const requestId = deps.newRequestId();
    const problem = problemOf(refusal, requestId);
    if (refusal.internal !== undefined)
      deps.log.error({ requestId, internal: refusal.internal }, refusal.message);
    const { status } = problem;
    deps.observe({ operation: 'unmatched', requestId, status, code: refusal.code, seconds: 0 });
    response.set({ ...PRIVATE_HEADERS, 'x-request-id': requestId });
    response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
  });
  return app;
}
