import type { SearchAttributeType } from '@temporalio/common';

/** A search attribute by name and type; the typed keys of the SDK are such. */
export interface SearchAttributeDefinition {
  name: string;
  type: SearchAttributeType;
}

/** What `server start-dev` is told; the two ports are settled. */
export interface DevServerSettings {
  ip?: string | undefined;
  port: number;
  /** Ignored when headless. */
  uiPort: number;
  headless?: boolean | undefined;
  /** State survives a restart in this file; left out, the server keeps it in memory. */
  dbFilename?: string | undefined;
  /** Created beside `default` where it does not exist. */
  namespace?: string | undefined;
  /** Registered when the namespace is created; `registerSearchAttributes` does it for one that exists. */
  searchAttributes?: Readonly<Record<string, SearchAttributeDefinition>> | undefined;
  /** Added to, or in place of, {@link devServerDynamicConfig}. */
  dynamicConfig?: Readonly<Record<string, string | number | boolean>> | undefined;
  logLevel?: 'debug' | 'info' | 'warn' | 'error' | undefined;
}

/**
 * The tuning of a server with one history shard. Its task processors poll 20 times a second per shard by default, so
 * every hand-over would wait up to 50 ms; timers under a second would take a second; and fairness between tenants holds
 * only within one task queue partition.
 */
export const devServerDynamicConfig = {
  'history.transferProcessorMaxPollRPS': 5_000,
  'history.timerProcessorMaxPollRPS': 5_000,
  'history.visibilityProcessorMaxPollRPS': 2_000,
  'history.timerProcessorMaxTimeShift': '50ms',
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
  'matching.enableFairness': true,
} as const;

/** How the CLI spells a search attribute's type. */
export const searchAttributeTypeNames = {
  TEXT: 'Text',
  KEYWORD: 'Keyword',
  INT: 'Int',
  DOUBLE: 'Double',
  BOOL: 'Bool',
  DATETIME: 'Datetime',
  KEYWORD_LIST: 'KeywordList',
} as const satisfies Record<SearchAttributeType, string>;

/** The arguments that both the Temporal CLI and tools/temporal-dev take for these settings. */
export function devServerArguments(settings: DevServerSettings): string[] {
  const { ip = '127.0.0.1', namespace, dbFilename } = settings;
  const attributes = Object.values(settings.searchAttributes ?? {});
  const dynamicConfig = { ...devServerDynamicConfig, ...settings.dynamicConfig };
  return [
    ...['server', 'start-dev', '--ip', ip, '--port', String(settings.port)],
    ...(settings.headless === true ? ['--headless'] : ['--ui-port', String(settings.uiPort)]),
    ...(namespace === undefined ? [] : ['--namespace', namespace]),
    ...['--log-format', 'json', '--log-level', settings.logLevel ?? 'warn'],
    ...(dbFilename === undefined
      ? []
      : [
          ...['--db-filename', dbFilename],
          ...['--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=normal'],
        ]),
    ...attributes.flatMap(({ name, type }) => [
      '--search-attribute',
      `${name}=${searchAttributeTypeNames[type]}`,
    ]),
    // JSON: a duration is a string and needs its quotes.
    ...Object.entries(dynamicConfig).flatMap(([key, value]) => [
      '--dynamic-config-value',
      `${key}=${JSON.stringify(value)}`,
    ]),
  ];
}
