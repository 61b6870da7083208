import type { Caller, Outcome } from '../../domain/events/change.js';
import type {
  ModelView,
  PatchVersion,
  RegisterModel,
  VersionSummary,
  VersionView,
} from '../../domain/registry/contract.js';
import type { Lineage, LineageQuery } from '../../domain/registry/lineage.js';

/** A version by its model and number. */
interface VersionName {
  model: string;
  version: number;
}

/** What the endpoints of `registry` ask for. Lists answer one more than `limit` where there is more. */
export interface RegistryRouteDeps {
  putModel: (caller: Caller, name: string, input: RegisterModel) => Promise<Outcome<ModelView>>;
  findModel: (tenant: string, name: string) => Promise<ModelView | undefined>;
  listModels: (
    tenant: string,
    page: { limit: number; after: string | undefined },
  ) => Promise<ModelView[]>;
  listVersions: (
    tenant: string,
    filter: { model: string; assurance?: string | undefined },
    page: { limit: number; after: number | undefined },
  ) => Promise<VersionSummary[]>;
  findVersion: (tenant: string, name: VersionName) => Promise<VersionView | undefined>;
  annotateVersion: (
    caller: Caller,
    name: VersionName,
    change: PatchVersion['annotations'],
  ) => Promise<Outcome<VersionView>>;
  withdrawVersion: (
    caller: Caller,
    name: VersionName,
    step: { to: 'QUARANTINED' | 'RETIRED'; reason: string },
  ) => Promise<Outcome<VersionView>>;
  findLineage: (tenant: string, query: LineageQuery) => Promise<Lineage>;
}
