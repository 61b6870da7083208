import { PlatformError } from '../../domain/errors.js';
import type { EtlDeps } from './etl-deps.js';
import { keepClaims } from './keep-claims.js';
import { settleTouched } from './settle-touched.js';

export interface ListSourcePageInput {
  tenant: string;
  scanId: string;
  sourceId: string;
  cursor?: string | undefined;
  maxEntries: number;
  maxBytes: number;
}

/** Where the next page begins; without a cursor this page was the last one. */
export interface ListedPage {
  entries: number;
  cursor?: string | undefined;
}

/**
 * Lists one page of a pull source and keeps it. A repeat lists the page again and keeps what is new of it.
 * @throws SOURCE_UNAVAILABLE, STORE_UNAVAILABLE (retryable), SOURCE_CONFIG_INVALID, SOURCE_PAUSED, NOT_FOUND
 */
export const createListSourcePage =
  (deps: EtlDeps) =>
  (input: ListSourcePageInput): Promise<ListedPage> =>
    keepClaims(
      async () => undefined,
      async ({ signal }) => {
        const { tenant, scanId, sourceId, cursor, maxEntries, maxBytes } = input;
        const source = await deps.ledger.findSource(tenant, sourceId);
        if (source === undefined) throw new PlatformError('NOT_FOUND', 'There is no such source.');
        if (source.state !== 'ACTIVE')
          throw new PlatformError('SOURCE_PAUSED', `The source is ${source.state}.`);
        const reader = deps.pullSource(source.kind);
        if (reader === undefined)
          throw new PlatformError(
            'SOURCE_CONFIG_INVALID',
            `A source of kind ${source.kind} cannot be listed.`,
          );
        const page = await reader.list(source, { cursor, maxEntries, maxBytes, signal });
        await settleTouched(deps, { tenant, source, reader, signal }, page.entries);
        await deps.scans.recordPage(tenant, scanId, page);
        const next = page.cursor === undefined ? {} : { cursor: page.cursor };
        return { entries: page.entries.length, ...next };
      },
    );
