import { checkRoles, refuseGrant } from '../../src/domain/access/check-roles.js';
import {
  permissions,
  permissionsOf,
  permissionTable,
  roles,
  type Permission,
  type Role,
} from '../../src/domain/access/permissions.js';

const initials: Record<string, Role> = {
  VI: 'viewer',
  DS: 'data-steward',
  ML: 'ml-engineer',
  AP: 'approver',
  OP: 'operator',
  CF: 'config-admin',
  SV: 'service',
  PO: 'privacy-officer',
  AU: 'auditor',
  TA: 'tenant-admin',
  PL: 'platform-operator',
};
// The matrix of the specification, row by row, as far as its permissions exist.
const matrix: Partial<Record<Permission, string>> = {
  'datasets:read': 'VI DS ML AP OP CF PO AU TA',
  'training:read': 'VI DS ML AP OP CF PO AU TA',
  'registry:read': 'VI DS ML AP OP CF PO AU TA',
  'evaluation:read': 'VI DS ML AP OP CF PO AU TA',
  'approval:read': 'VI DS ML AP OP CF PO AU TA',
  'release:read': 'VI DS ML AP OP CF PO AU TA',
  'access:read': 'VI DS ML AP OP CF PO AU TA',
  'datasets:read-raw': 'DS',
  'datasets:write': 'DS',
  'etl:read': 'VI DS ML AP OP CF PO AU TA',
  'etl:steward': 'DS',
  'etl:write': 'DS',
  'etl:admin': 'DS',
  'etl:approve': 'AP',
  'etl:operate': 'OP',
  'retrieval:query': 'DS SV',
  'retrieval:delegate': '',
  'training:run': 'ML',
  'evaluation:run': 'ML',
  'registry:register': 'ML',
  'approval:request': 'ML',
  'release:start': 'ML OP',
  'release:abort': 'ML OP',
  'approval:decide': 'AP',
  'release:operate': 'OP',
  'incidents:kill': 'OP PL',
  'incidents:read': 'VI DS ML AP OP CF PO AU TA',
  'incidents:write': 'ML OP',
  'access:write-policies': 'CF',
  'inference:invoke': 'SV',
  'feedback:write': 'SV',
  'decisions:read': 'OP PO AU',
  'decisions:read-clear': '',
  'audit:read': 'PO AU TA',
  'audit:verify': 'PO AU TA PL',
  'access:write': 'TA',
  'platform:operate': 'PL',
};

test('each role holds exactly the permissions that the matrix gives it', () => {
  for (const [permission, row] of Object.entries(matrix)) {
    const expected = row.split(' ').flatMap((initial) => initials[initial] ?? []);
    expect([permission, ...[...permissionTable[permission as Permission]].sort()]).toEqual([
      permission,
      ...expected.sort(),
    ]);
  }
});

test('lifting a kill switch takes an operator first and an approver second, and no role does both', () => {
  for (const role of roles) {
    const held = permissionsOf([role], []);
    expect(held.has('incidents:request-lift') && held.has('incidents:lift-kill')).toBe(false);
  }
});

test('scopes narrow what roles give; only delegation of reading, which no role brings, is granted by them, to services', () => {
  for (const role of roles) {
    const all = permissionsOf([role], []);
    for (const permission of permissions) {
      const narrowed = [...permissionsOf([role], [permission])];
      const granted = permission === 'retrieval:delegate' && role === 'service';
      expect(narrowed).toEqual(all.has(permission) || granted ? [permission] : []);
    }
  }
});

test('an unknown role gives nothing', () => {
  expect([...permissionsOf(['root', '__proto__'], [])]).toEqual([]);
});

test('a service never holds a role of judgement', () => {
  const refused = roles.filter((role) => checkRoles('service', [role]).length > 0);
  expect(refused).toEqual(['approver', 'privacy-officer', 'tenant-admin', 'platform-operator']);
  expect(roles.flatMap((role) => checkRoles('person', [role]))).toEqual([]);
});

test('config-admin and auditor are never on one principal, and the refusal names the place', () => {
  expect(checkRoles('person', ['viewer', 'config-admin', 'auditor'])).toEqual([
    expect.objectContaining({ pointer: '/roles/2', code: 'incompatible' }),
  ]);
});

test('nobody changes its own roles, not even to give one up', () => {
  const granter = { subject: 'prn_1', roles: ['tenant-admin'] };
  const own = { granter, target: 'prn_1', before: ['tenant-admin'] };
  expect(refuseGrant({ ...own, after: ['tenant-admin', 'viewer'] })).toBe('SELF_GRANT');
  expect(refuseGrant({ ...own, after: [] })).toBe('SELF_GRANT');
  expect(refuseGrant({ ...own, target: 'prn_2', after: ['approver'] })).toBeUndefined();
});

test('the role of the platform is given only by who holds it', () => {
  const grant = { target: 'prn_2', before: [], after: ['platform-operator'] as Role[] };
  const by = (...held: Role[]) =>
    refuseGrant({ ...grant, granter: { subject: 'prn_1', roles: held } });
  expect(by('tenant-admin')).toBe('PLATFORM_ROLE');
  expect(by('tenant-admin', 'platform-operator')).toBeUndefined();
});
