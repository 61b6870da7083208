import { parseReleaseWorkflowId, releaseWorkflowId } from '../../src/domain/release/contract.js';

describe('the workflow id of a release', () => {
  it('carries tenant and release, and is read back', () => {
    const id = releaseWorkflowId('t1', 'rel_1');
    expect(id).toBe('release/t1/rel_1');
    expect(parseReleaseWorkflowId(id)).toEqual({ tenant: 't1', releaseId: 'rel_1' });
  });

  it.each(['approval/t1/apr_1', 'release/t1', 'release/t1/rel_1/more', ''])(
    '%s is not one',
    (id) => {
      expect(parseReleaseWorkflowId(id)).toBeUndefined();
    },
  );
});
