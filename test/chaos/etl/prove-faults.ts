import { createRandom } from '../../../src/domain/evaluation/random.js';
import { describeStanding } from '../describe-standing.js';
import type { EditOrder } from './driver.js';
import type { EtlStack } from './etl-stack.js';
import type { Finding } from './findings.js';
import type { PlantedFault } from './planted-faults.js';
import { World } from './world.js';

interface ProofPlan {
  /** Where a process has to die for the fault to do harm. */
  killAt?: string;
  /** The claims are lost and the source moves on before the retry. */
  editAgain?: boolean;
  sure: EditOrder['sure'];
}

const EDITS = 8;
const plans: Record<PlantedFault, ProofPlan> = {
  'state stored before embedding': { killAt: 'etl.k6', sure: { first: EDITS } },
  'delete before add': { killAt: 'planted.between', sure: { first: EDITS } },
  'cleanup per batch': { sure: { first: EDITS } },
  'nested ACL ignored': { sure: { first: EDITS, what: 'access' } },
  'row id reused': {
    killAt: 'etl.k8',
    editAgain: true,
    sure: { first: EDITS, sources: ['webhook'] },
  },
};

export const plantedFaultNames = Object.keys(plans) as PlantedFault[];

/** What became of a planted fault. */
export interface Proof {
  fault: PlantedFault;
  caught: boolean;
  /** What the checker said before the fault was there: it has to be silent then. */
  before: Finding[];
  findings: Finding[];
  seconds: number;
}

const DOCUMENTS = 12;
const TRIES = 4;

async function provoke(stack: EtlStack, world: World, of: { fault: PlantedFault; round: string }) {
  const { killAt, editAgain = false, sure } = plans[of.fault];
  const { round } = of;
  const armed =
    killAt === undefined ? undefined : stack.supervisor.arm(killAt, { withinMs: 15_000 });
  const order: EditOrder = { round, documents: EDITS, sure };
  const editing = world.driver.call('edit', order);
  // Edits have a folder scanned by themselves, and this scan waits for that one, which may need the next worker.
  const scanning = editing.then(() => world.driver.call('scan'));
  scanning.catch(() => undefined);
  const hit = await armed?.hit;
  await hit?.process.kill();
  await editing;
  if (hit === undefined) {
    await scanning;
    return [];
  }
  if (editAgain) {
    // The batch lost its claims: the next plan is made over its open intents, and gives their rows up (W2).
    await world.loseClaims();
    await world.driver.call('editAgain', order);
  }
  const { findings } = await world.inFlight();
  await stack.beginWorker();
  await scanning;
  await world.driver.call('scan');
  return findings;
}

/** Plants a fault in a collection that is in order, and edits until the checker sees it. */
async function plantAndEdit(
  stack: EtlStack,
  world: World,
  fault: PlantedFault,
): Promise<Pick<Proof, 'before' | 'findings'>> {
  await world.driver.call('seed', { documents: DOCUMENTS });
  await world.settle();
  const before = (await world.settled(true)).findings;
  await stack.plant(fault);
  const findings: Finding[] = [];
  for (let at = 1; at <= TRIES && findings.length === 0; at++) {
    findings.push(...(await provoke(stack, world, { fault, round: `${fault} ${at}` })));
    await world.settle();
    findings.push(...(await world.settled()).findings);
  }
  return { before, findings };
}

/**
 * Plants one fault and edits until the checker sees it. The stack is as it was before, however this ends.
 * @throws with how the product stood, where it did not go on
 */
export async function proveFault(
  stack: EtlStack,
  fault: PlantedFault,
  seed: number,
): Promise<Proof> {
  const since = performance.now();
  const name = `planted-${fault.toLowerCase().replaceAll(/[^a-z]+/g, '-')}-${seed}`;
  const world = await World.create(stack, name, createRandom(seed, fault).below(1_000_000));
  const leave = () => Promise.all([stack.plant('none'), world.close()]);
  const proving = stack.supervisor.whileAllLive(plantAndEdit(stack, world, fault));
  const { before, findings } = await proving.catch(async (error: unknown) => {
    const standing = await describeStanding(stack);
    await leave();
    // What it would pay for later would be in the books of the next.
    await world.settle().catch(() => undefined);
    throw new Error([String(error), ...standing].join('\n'), { cause: error });
  });
  await leave();
  const seconds = (performance.now() - since) / 1000;
  return { fault, caught: findings.length > 0, before, findings, seconds };
}
