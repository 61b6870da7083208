import { contractBreaks } from '../../domain/datasets/contract-breaks.js';
import { hmac } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import { parseModelReference, type InferenceRequest } from '../../domain/inference/contract.js';
import type { InferencePlan, PlannedCandidate } from '../../domain/inference/run.js';
import { assign, bucketOf } from '../../domain/release/assignment.js';
import { killOn, type RoutingDocument } from '../../domain/release/routing.js';
import type { InferencePipelineDeps } from './inference-pipeline-deps.js';
import type { LoadedVersion } from './version-cache.js';

/** Whom a request is for. */
export interface RequestContext {
  tenant: string;
  env: string;
  /** Subject token, or the request's own id where it names no subject. */
  stickyKey: string;
  nonSticky: boolean;
}

/** Where a request goes: the candidates in order, and what led to them. */
export interface Resolution {
  routing: RoutingDocument;
  model: string;
  /** What the routing assigned, whoever answers. */
  assigned: number;
  arm: string;
  assignment: InferencePlan['assignment'];
  candidates: { loaded: LoadedVersion; kind: PlannedCandidate['kind'] }[];
  diverted: boolean;
}

const withdrawn = new Set(['QUARANTINED', 'RETIRED', 'ERASED']);

const serves = ({ active, previous, arms }: RoutingDocument, version: number): boolean =>
  version === active || version === previous || arms.some((arm) => arm.version === version);

/** The version that a request is assigned to: by name if it names one that serves here, else by its bucket. */
function assignmentOf(
  routing: RoutingDocument,
  named: number | undefined,
  context: RequestContext,
): { version: number; arm: string; assignment: InferencePlan['assignment'] } {
  if (named !== undefined) {
    if (!serves(routing, named)) {
      throw new PlatformError('NO_ACTIVE_VERSION', `Version ${named} does not serve here.`);
    }
    return { version: named, arm: 'pinned', assignment: { nonSticky: false } };
  }
  if (routing.active === null) {
    throw new PlatformError('NO_ACTIVE_VERSION', 'No version of this model serves here yet.');
  }
  const salt = Buffer.from(routing.salt, 'base64');
  const bucket = bucketOf(hmac(salt, context.stickyKey));
  const { version, arm } = assign(bucket, routing.arms, routing.active);
  return {
    version,
    arm: arm < 0 ? 'active' : 'canary',
    assignment: { bucket, nonSticky: context.nonSticky },
  };
}

/** PREVIOUS, where it may stand in: loadable, not withdrawn, and with a contract that keeps the caller's promises. */
async function standIn(
  deps: InferencePipelineDeps,
  routing: RoutingDocument,
  of: { tenant: string; model: string; primary: LoadedVersion },
): Promise<LoadedVersion | undefined> {
  const { previous } = routing;
  if (previous === null || previous === of.primary.facts.version) return undefined;
  if (killOn(routing.kills, previous, 'fallback') !== undefined) return undefined;
  const loaded = await deps.version(of.tenant, of.model, previous);
  if (loaded === undefined || withdrawn.has(loaded.facts.assurance)) return undefined;
  const { facts } = of.primary;
  if (facts.contractDigest === loaded.facts.contractDigest) return loaded;
  // The inputs of each request are checked against its contract before it is asked; here only the answers count.
  const breaks = contractBreaks(
    { ...facts.contract, input: loaded.facts.contract.input },
    loaded.facts.contract,
  );
  return breaks.length === 0 ? loaded : undefined;
}

async function primaryOf(
  deps: InferencePipelineDeps,
  of: { tenant: string; model: string; version: number },
): Promise<LoadedVersion> {
  const primary = await deps.version(of.tenant, of.model, of.version);
  if (primary === undefined) {
    throw new PlatformError('MODEL_NOT_FOUND', 'There is no such version of this model.');
  }
  if (withdrawn.has(primary.facts.assurance)) {
    throw new PlatformError('VERSION_RETIRED', `Version ${of.version} has been withdrawn.`);
  }
  return primary;
}

/**
 * Steps 4 (kill switches) and 5 of gateway.md §1: epoch, arm, version, and who stands in.
 * @param fresh reads the routing past the process's copy
 * @throws MODEL_NOT_FOUND, NO_ACTIVE_VERSION, VERSION_RETIRED, KILLED
 */
export async function resolve(
  deps: InferencePipelineDeps,
  request: Pick<InferenceRequest, 'model'>,
  context: RequestContext & { fresh: boolean },
): Promise<Resolution> {
  const { tenant, env } = context;
  const reference = parseModelReference(request.model);
  if (reference === undefined) throw new PlatformError('MODEL_NOT_FOUND', 'No such model.');
  const model = reference.name;
  const look = context.fresh ? deps.routing.refresh : deps.routing.resolve;
  const routing = await look({ tenant, env, kind: 'model', name: model });
  if (routing === undefined) {
    const pinned = await deps.version(tenant, model, reference.version ?? 1);
    if (pinned === undefined) {
      throw new PlatformError('MODEL_NOT_FOUND', `There is no model ${model} with a version.`);
    }
    throw new PlatformError('NO_ACTIVE_VERSION', `No version of ${model} serves in ${env} yet.`);
  }
  const { version, arm, assignment } = assignmentOf(routing, reference.version, context);
  const primary = await primaryOf(deps, { tenant, model, version });
  const previous = await standIn(deps, routing, { tenant, model, primary });
  const kill = killOn(routing.kills, version);
  const head = { routing, model, assigned: version, arm, assignment };
  if (kill === undefined) {
    const candidates = [{ loaded: primary, kind: 'assigned' as const }];
    const more = previous === undefined ? [] : [{ loaded: previous, kind: 'previous' as const }];
    return { ...head, candidates: [...candidates, ...more], diverted: false };
  }
  if (kill.mode === 'fail_closed' || previous === undefined) {
    throw new PlatformError('KILLED', 'A kill switch is on for this model.', {
      extensions: { killId: kill.killId, scope: kill.scope },
    });
  }
  return { ...head, candidates: [{ loaded: previous, kind: 'previous' }], diverted: true };
}
