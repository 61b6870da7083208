import { proxyActivities, sleep } from '@temporalio/workflow';

const { countVotes } = proxyActivities<{ countVotes: (input: object) => Promise<void> }>({
  startToCloseTimeout: '5s',
});

/**
 * Bears the name of a real workflow and takes other steps: its history is what a careless change of `awaitApproval`
 * would meet, and replay has to refuse it.
 */
export async function awaitApproval(input: object): Promise<{ state: string }> {
  await sleep(10);
  await countVotes(input);
  return { state: 'APPROVED' };
}
