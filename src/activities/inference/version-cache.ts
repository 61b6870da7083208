import { compileInputs, type InputsValidator } from '../../domain/datasets/validate-inputs.js';
import type { VersionFacts } from '../../domain/inference/run.js';
import type { RuntimeVersion } from '../../domain/inference/runtime.js';

/** A version with its contract compiled. */
export interface LoadedVersion {
  facts: VersionFacts;
  /** Checks inputs; pointers start at `/inputs`. */
  checkInputs: InputsValidator;
  /** True where an answer fits the output contract. */
  outputFits: (output: unknown) => boolean;
  /** What the runtime is asked with. */
  runtimeVersion: RuntimeVersion;
}

/** What the cache reads. */
export interface VersionCacheDeps {
  findVersion: (
    tenant: string,
    model: string,
    version: number,
  ) => Promise<VersionFacts | undefined>;
  /** How long assurance and purpose may be old, in milliseconds. */
  freshMs: number;
  maxVersions: number;
}

interface Entry {
  loaded: LoadedVersion;
  readMs: number;
}

function compile(facts: VersionFacts): LoadedVersion {
  const { contract } = facts;
  const strictOutputs = contract.output.fields.map((field) => ({
    ...field,
    onMissing: 'reject' as const,
    onUnknownCategory: 'reject' as const,
    severity: 'reject' as const,
  }));
  const checkOutput = compileInputs(strictOutputs);
  return {
    facts,
    checkInputs: compileInputs(contract.input.fields, { pointer: '/inputs' }),
    outputFits: (output) => checkOutput(output).ok,
    runtimeVersion: { digest: facts.artifactDigest, golden: facts.golden },
  };
}

/**
 * Versions by tenant, model and number. What is immutable is compiled once; assurance and purpose are read again when
 * they are older than `freshMs`. Least recently used ones go beyond `maxVersions`.
 */
export function createVersionCache(deps: VersionCacheDeps) {
  const entries = new Map<string, Entry>();
  const loading = new Map<string, Promise<LoadedVersion | undefined>>();

  async function read(key: string, of: { tenant: string; model: string; version: number }) {
    const known = entries.get(key)?.loaded;
    const facts = await deps.findVersion(of.tenant, of.model, of.version);
    if (facts === undefined) return undefined;
    const same = known?.facts.contractDigest === facts.contractDigest;
    const loaded = known !== undefined && same ? { ...known, facts } : compile(facts);
    entries.delete(key);
    entries.set(key, { loaded, readMs: performance.now() });
    const oldest = entries.keys().next();
    if (entries.size > deps.maxVersions && oldest.done !== true) entries.delete(oldest.value);
    return loaded;
  }

  const find = (
    tenant: string,
    model: string,
    version: number,
  ): Promise<LoadedVersion | undefined> => {
    const key = `${tenant}\0${model}\0${version}`;
    const entry = entries.get(key);
    if (entry !== undefined && performance.now() - entry.readMs < deps.freshMs) {
      entries.delete(key);
      entries.set(key, entry);
      return Promise.resolve(entry.loaded);
    }
    const running = loading.get(key);
    if (running !== undefined) return running;
    const started = read(key, { tenant, model, version }).finally(() => loading.delete(key));
    loading.set(key, started);
    return started;
  };

  return {
    find,
    /** Where the bytes of an artifact are, for versions that this process has looked at; undefined for others. */
    artifactRefOf: (digest: string): string | undefined =>
      [...entries.values()].find(({ loaded }) => loaded.facts.artifactDigest === digest)?.loaded
        .facts.artifactRef,
  };
}
