import { setTimeout as delay } from 'node:timers/promises';
import { isGrpcServiceError, type Connection } from '@temporalio/client';

/** gRPC NOT_FOUND and FAILED_PRECONDITION: the version has not polled yet, or not on every queue. */
const notYet = [5, 9];
const everyMs = 250;

/** Which workers become current, and what has to be there first. */
export interface MakeVersionCurrentOptions {
  namespace: string;
  version: { deploymentName: string; buildId: string };
  /** Task queues that this version must have polled, so that no queue is left without a current worker. */
  queues: readonly string[];
  /** How long the workers may take to appear. */
  patienceMs: number;
}

/**
 * Makes a worker deployment version current once its workers have polled every queue. Idempotent.
 * @throws Error naming the queues that nobody polled in time
 */
export async function makeVersionCurrent(
  connection: Connection,
  { namespace, version, queues, patienceMs }: MakeVersionCurrentOptions,
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  const { deploymentName, buildId } = version;
  for (;;) {
    const polled = await polledQueues(connection, namespace, version);
    const missing = queues.filter((queue) => !polled.has(queue));
    if (missing.length === 0) {
      try {
        await connection.workflowService.setWorkerDeploymentCurrentVersion({
          namespace,
          deploymentName,
          buildId,
        });
        return;
      } catch (error) {
        if (!isNotYet(error) || performance.now() > deadline) throw error;
      }
    }
    if (performance.now() > deadline) {
      throw new Error(
        `no worker of ${deploymentName}.${buildId} polled ${missing.join(', ')}: start one, then deploy again`,
      );
    }
    await delay(everyMs);
  }
}

async function polledQueues(
  connection: Connection,
  namespace: string,
  version: MakeVersionCurrentOptions['version'],
): Promise<Set<string>> {
  try {
    const { versionTaskQueues } = await connection.workflowService.describeWorkerDeploymentVersion({
      namespace,
      deploymentVersion: version,
    });
    return new Set(versionTaskQueues.map(({ name }) => name ?? ''));
  } catch (error) {
    if (isNotYet(error)) return new Set();
    throw error;
  }
}

const isNotYet = (error: unknown): boolean =>
  isGrpcServiceError(error) && notYet.includes(error.code);
