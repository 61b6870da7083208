/** The roles of reliability.md §3; a role is a bundle of permissions, code checks permissions only. */
export const roles = [
  'viewer',
  'data-steward',
  'ml-engineer',
  'approver',
  'operator',
  'config-admin',
  'service',
  'privacy-officer',
  'auditor',
  'tenant-admin',
  'platform-operator',
] as const;
export type Role = (typeof roles)[number];

const readers: Role[] = [
  'viewer',
  'data-steward',
  'ml-engineer',
  'approver',
  'operator',
  'config-admin',
  'privacy-officer',
  'auditor',
  'tenant-admin',
];

/**
 * Which role holds which permission (reliability.md §3), for the permissions that exist so far. Qualified cells
 * (purpose, case, own, grant) are not granted here: the route that honours a qualifier adds it.
 */
export const permissionTable = {
  'datasets:read': readers,
  'training:read': readers,
  'registry:read': readers,
  'evaluation:read': readers,
  'approval:read': readers,
  'release:read': readers,
  'monitoring:read': readers,
  'etl:read': readers,
  'access:read': readers,
  'incidents:read': readers,
  'datasets:read-raw': ['data-steward'],
  'datasets:write': ['data-steward'],
  'etl:steward': ['data-steward'],
  'etl:write': ['data-steward'],
  'etl:admin': ['data-steward'],
  'etl:approve': ['approver'],
  'etl:operate': ['operator'],
  'retrieval:query': ['data-steward', 'service'],
  'retrieval:delegate': [],
  'training:run': ['ml-engineer'],
  'evaluation:run': ['ml-engineer'],
  'registry:register': ['ml-engineer'],
  'approval:request': ['ml-engineer'],
  'release:start': ['ml-engineer', 'operator'],
  'release:abort': ['ml-engineer', 'operator'],
  'approval:decide': ['approver'],
  'release:operate': ['operator'],
  'incidents:kill': ['operator', 'platform-operator'],
  'incidents:request-lift': ['operator'],
  'incidents:lift-kill': ['approver'],
  'incidents:write': ['ml-engineer', 'operator'],
  'access:write-policies': ['config-admin'],
  'inference:invoke': ['service'],
  'feedback:write': ['service'],
  'decisions:read': ['operator', 'privacy-officer', 'auditor'],
  'decisions:read-clear': [],
  'audit:read': ['privacy-officer', 'auditor', 'tenant-admin'],
  'audit:verify': ['privacy-officer', 'auditor', 'tenant-admin', 'platform-operator'],
  'access:write': ['tenant-admin'],
  'platform:operate': ['platform-operator'],
} as const satisfies Record<string, readonly Role[]>;

export type Permission = keyof typeof permissionTable;
export const permissions = Object.keys(permissionTable) as Permission[];

/** Permissions that no role brings: a key has one where its scopes name it and its principal's role may be granted it. */
const grantable: Partial<Record<Permission, readonly Role[]>> = {
  'retrieval:delegate': ['service'],
};

/** The permissions that a set of roles gives, narrowed to `scopes` where any are named. */
export function permissionsOf(held: readonly string[], scopes: readonly string[]): Set<Permission> {
  return new Set(
    permissions.filter((permission) =>
      scopes.includes(permission)
        ? [...permissionTable[permission], ...(grantable[permission] ?? [])].some((role) =>
            held.includes(role),
          )
        : scopes.length === 0 &&
          (permissionTable[permission] as readonly string[]).some((role) => held.includes(role)),
    ),
  );
}
