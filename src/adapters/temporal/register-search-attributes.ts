import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import type { SearchAttributeType } from '@temporalio/common';
import { searchAttributes } from '../../domain/search-attributes.js';
import { searchAttributeTypeNames } from './dev-server-arguments.js';
import type { SearchAttributeDefinition } from './dev-server-arguments.js';

/** `temporal.api.enums.v1.IndexedValueType`. */
const indexedValueTypes = {
  TEXT: 1,
  KEYWORD: 2,
  INT: 3,
  DOUBLE: 4,
  BOOL: 5,
  DATETIME: 6,
  KEYWORD_LIST: 7,
} as const satisfies Record<SearchAttributeType, number>;

/** What a namespace lacks of the wanted attributes. */
export interface SearchAttributeGap {
  missing: SearchAttributeDefinition[];
  /** Present under the name, with another type: the server ignores an attempt to add them, without an error. */
  conflicting: SearchAttributeDefinition[];
}

/** Compares the wanted attributes with what the namespace has (name → IndexedValueType number). */
export function compareSearchAttributes(
  wanted: readonly SearchAttributeDefinition[],
  present: Readonly<Record<string, number>>,
): SearchAttributeGap {
  return {
    missing: wanted.filter(({ name }) => present[name] === undefined),
    conflicting: wanted.filter(
      ({ name, type }) => present[name] !== undefined && present[name] !== indexedValueTypes[type],
    ),
  };
}

/**
 * Adds the platform's search attributes to the namespace where they are missing and returns when a start may use them.
 * Works against any server; repeating it changes nothing. Throws, with the commands to run, where a name is taken by
 * another type or the server does not let us add (Temporal Cloud).
 */
export async function registerSearchAttributes(
  connection: Connection,
  namespace: string,
): Promise<void> {
  const wanted: SearchAttributeDefinition[] = Object.values(searchAttributes);
  const { missing, conflicting } = compareSearchAttributes(
    wanted,
    await presentAttributes(connection, namespace),
  );
  if (conflicting.length > 0) {
    throw new Error(
      `The namespace ${namespace} has search attributes of another type. Remove them, then start again:\n` +
        conflicting.map((key) => command('remove', key, namespace)).join('\n'),
    );
  }
  if (missing.length === 0) return;
  await connection.operatorService
    .addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(
        missing.map(({ name, type }) => [name, indexedValueTypes[type]]),
      ),
    })
    .catch((error: unknown) => {
      throw new Error(
        `The namespace ${namespace} lacks search attributes and the server refuses to add them. Add them, then ` +
          `start again:\n${missing.map((key) => command('create', key, namespace)).join('\n')}`,
        { cause: error },
      );
    });
  await untilUsable(connection, { namespace, wanted: missing });
}

/** The custom search attributes of a namespace: name → IndexedValueType number. */
export async function presentAttributes(
  connection: Connection,
  namespace: string,
): Promise<Record<string, number>> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  return { ...customAttributes };
}

/** The server's caches learn of a new attribute 1 to 2 s later; a start that uses it is refused until then. */
async function untilUsable(
  connection: Connection,
  { namespace, wanted }: { namespace: string; wanted: readonly SearchAttributeDefinition[] },
): Promise<void> {
  const query = wanted.map(({ name }) => `${name} IS NOT NULL`).join(' AND ');
  const deadline = performance.now() + 30_000;
  for (;;) {
    try {
      await connection.workflowService.countWorkflowExecutions({ namespace, query });
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await delay(100);
    }
  }
}

function command(
  verb: 'create' | 'remove',
  { name, type }: SearchAttributeDefinition,
  namespace: string,
): string {
  const kind = verb === 'create' ? ` --type ${searchAttributeTypeNames[type]}` : '';
  return `  temporal operator search-attribute ${verb} --namespace ${namespace} --name ${name}${kind}`;
}
