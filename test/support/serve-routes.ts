import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createAuditStore } from '../../src/adapters/postgres/audit.js';
import { newId } from '../../src/adapters/postgres/new-id.js';
import { createApp } from '../../src/api/app.js';
import type { Route } from '../../src/api/route.js';
import { permissionsOf, type Role } from '../../src/domain/access/permissions.js';
import type { StartRequest, WakeRequest } from '../../src/domain/events/contract.js';
import type { TestDatabase } from './database.js';

/** What an answer is compared with. */
export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

/** Who sends a request; a data steward unless said otherwise. */
export interface Sender {
  tenant: string;
  subject?: string;
  roles?: Role[];
  groups?: string[];
  idempotencyKey?: string;
}

/** Some endpoints of the platform on a port of their own: the edge is real, callers are who they say they are. */
export interface ServedRoutes {
  url: string;
  started: StartRequest[];
  woken: WakeRequest[];
  send: (operation: string, who: Sender & { body?: unknown }) => Promise<Answer>;
  close: () => Promise<void>;
}

export const headersOf = (who: Sender): Record<string, string> => {
  const { tenant, subject = 'prn_steward', roles = ['data-steward'], groups = [] } = who;
  return {
    authorization: `Bearer ${[tenant, subject, roles.join(','), groups.join(',')].join(':')}`,
    'idempotency-key': who.idempotencyKey ?? randomUUID(),
  };
};

export const answerOf = async (response: Response): Promise<Answer> => ({
  status: response.status,
  body: (await response.json()) as Answer['body'],
});

const wordsOf = (list: string): string[] => list.split(',').filter((word) => word !== '');

/** Serves routes; what they start and wake is noted and goes nowhere. */
export async function serveRoutes(
  routes: Route[],
  database: Pick<TestDatabase, 'api'>,
): Promise<ServedRoutes> {
  const started: StartRequest[] = [];
  const woken: WakeRequest[] = [];
  const app = createApp(routes, {
    authenticate: async (header) => {
      if (header === undefined) return undefined;
      const [tenant = '', subject = '', held = '', named = ''] = header.slice(7).split(':');
      const roles = wordsOf(held) as Role[];
      const who = { subject, name: 'test', kind: 'person' as const, groups: wordsOf(named) };
      const permissions = permissionsOf(roles, []);
      return { tenant, ...who, roles, permissions, env: 'dev', via: 'api-key:test' };
    },
    startWorkflow: async (_tenant, start) => void started.push(start),
    wakeWorkflow: async (wake) => void woken.push(wake),
    recordRefusal: createAuditStore(database.api).recordRefusal,
    newRequestId: () => newId('request'),
    log: { warn: () => undefined, error: () => undefined },
    observe: () => undefined,
    stopping: new AbortController().signal,
  });
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    started,
    woken,
    send: async (operation, who) => {
      const [method = 'GET', path = '/'] = operation.split(' ');
      const isJson = who.body !== undefined;
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { ...headersOf(who), ...(isJson ? { 'content-type': 'application/json' } : {}) },
        ...(isJson ? { body: JSON.stringify(who.body) } : {}),
      });
      return answerOf(response);
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
