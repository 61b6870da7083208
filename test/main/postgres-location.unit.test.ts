import fc from 'fast-check';
import {
  canSearch,
  foldersTo,
  relocatedFolderName,
} from '../../src/adapters/postgres/postgres-location.js';

describe('where the embedded Postgres lives', () => {
  it('is decided by the first permission class that matches the account', () => {
    const account = { uid: 101, gid: 104 };
    expect(canSearch(account, { uid: 0, gid: 0, mode: 0o40700 })).toBe(false);
    expect(canSearch(account, { uid: 0, gid: 0, mode: 0o40711 })).toBe(true);
    expect(canSearch(account, { uid: 0, gid: 104, mode: 0o40701 })).toBe(false);
    expect(canSearch(account, { uid: 0, gid: 104, mode: 0o40710 })).toBe(true);
    expect(canSearch(account, { uid: 101, gid: 0, mode: 0o40677 })).toBe(false);
  });

  it('looks at every folder from the root down', () => {
    expect(foldersTo('/root/work/clone')).toEqual(['/', '/root', '/root/work', '/root/work/clone']);
  });

  it('has a name that follows from the path of the clone alone', () => {
    expect(relocatedFolderName('/root/clone/.anneal')).toMatch(/^anneal-[0-9a-f]{12}$/);
    expect(relocatedFolderName('/root/clone/.anneal')).toBe(relocatedFolderName('/root/clone'));
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (one, other) => {
        const [first, second] = [one, other].map((name) => relocatedFolderName(`/a/${name}/x`));
        expect(first === second).toBe(one === other);
      }),
    );
  });
});
