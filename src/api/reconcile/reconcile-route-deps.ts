import type { Caller, Outcome } from '../../domain/events/change.js';
import type { DivergenceView, ResolveDivergence } from '../../domain/reconcile/contract.js';
import type { Page } from '../paging.js';

/** What the endpoints of `reconcile` ask for. */
export interface ReconcileRouteDeps {
  listDivergences: (
    tenant: string,
    filter: { state?: string | undefined; kind?: string | undefined },
    page: Page,
  ) => Promise<DivergenceView[]>;
  resolveDivergence: (
    caller: Caller,
    decision: ResolveDivergence & { divergenceId: string },
  ) => Promise<Outcome<DivergenceView>>;
}
