import { checkWithdrawal } from '../../src/domain/registry/check-withdrawal.js';
import { assuranceStates } from '../../src/domain/registry/contract.js';

const refusal = (assurance: (typeof assuranceStates)[number], to: 'QUARANTINED' | 'RETIRED') =>
  checkWithdrawal({ assurance, deployments: [{ env: 'dev', state: 'PREVIOUS' }] }, to);

it('lets every version be withdrawn but one that is erased or already there', () => {
  for (const from of assuranceStates) {
    const final = from === 'ERASED';
    expect(refusal(from, 'QUARANTINED') === undefined).toBe(!final && from !== 'QUARANTINED');
    expect(refusal(from, 'RETIRED') === undefined).toBe(!final && from !== 'RETIRED');
  }
});

it('names the environments in which a version is ACTIVE instead of withdrawing it', () => {
  const deployments = [
    { env: 'dev', state: 'ACTIVE' },
    { env: 'staging', state: 'ROLLED_BACK' },
    { env: 'prod', state: 'ACTIVE' },
  ];
  expect(checkWithdrawal({ assurance: 'APPROVED', deployments }, 'RETIRED')).toEqual({
    from: 'ACTIVE',
    allowed: [],
    activeIn: ['dev', 'prod'],
  });
});
