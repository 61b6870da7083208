import { z } from 'zod';
import { envSchema, nameSchema, principalIdSchema } from '../ids.js';
import { isNfc, NFC_ERROR } from '../text-name.js';
import { permissions, roles, type Permission } from './permissions.js';

/** The tenant id of the system audit chain; no tenant may take it. */
export const SYSTEM_TENANT = 'system';

/** A new tenant's id: a name, and never the reserved one. */
export const newTenantIdSchema = nameSchema.refine((name) => name !== SYSTEM_TENANT, {
  error: `${SYSTEM_TENANT} is reserved`,
});

const distinct = (values: readonly string[]): boolean => new Set(values).size === values.length;
const rolesSchema = z
  .array(z.enum(roles))
  .max(roles.length)
  .refine(distinct, { error: 'a role is named twice' })
  .meta({ description: 'Bundles of permissions; an empty list takes every permission away.' });
const scopesSchema = z
  .array(z.enum(permissions as [Permission, ...Permission[]]))
  .min(1)
  .max(permissions.length)
  .refine(distinct, { error: 'a scope is named twice' });

const groupsSchema = z
  .array(
    z
      .string()
      .regex(/^[^\s\p{C}]{1,128}$/u, { error: 'printable, without spaces' })
      .refine(isNfc, { error: NFC_ERROR }),
  )
  .max(1_000)
  .refine(distinct, { error: 'a group is named twice' })
  .meta({ description: 'What access lists of documents name as `group:<name>`.' });

/** A person, or a service that acts by itself. */
const principalKindSchema = z.enum(['person', 'service']);
export type PrincipalKind = z.infer<typeof principalKindSchema>;

export const createPrincipalSchema = z.strictObject({
  kind: principalKindSchema,
  name: z
    .string()
    .min(1)
    .max(128)
    .regex(/^[^\p{C}\s](?:[^\p{C}]*[^\p{C}\s])?$/u, {
      error: 'printable, without spaces at its ends',
    })
    .refine(isNfc, { error: NFC_ERROR })
    .meta({ description: 'Unique in the tenant; shown to people, never part of an audit entry.' }),
  roles: rolesSchema,
  groups: groupsSchema.default([]),
});
export type CreatePrincipal = z.infer<typeof createPrincipalSchema>;

export const setRolesSchema = z.strictObject({ roles: rolesSchema });
export const setGroupsSchema = z.strictObject({ groups: groupsSchema });

export const principalViewSchema = z
  .object({
    id: z.string(),
    kind: principalKindSchema,
    name: z.string(),
    roles: z.array(z.enum(roles)),
    groups: z.array(z.string()),
    createdAt: z.iso.datetime(),
    disabledAt: z.iso.datetime().optional(),
  })
  .meta({ id: 'Principal' });
/** A principal as it is listed. */
export type PrincipalView = z.infer<typeof principalViewSchema>;

export const createApiKeySchema = z.strictObject({
  principalId: principalIdSchema,
  env: envSchema,
  scopes: scopesSchema.optional().meta({
    description: 'Narrows the key to these permissions; it never exceeds its principal.',
  }),
  expiresAt: z.iso.datetime().optional().meta({ description: 'UTC; none means until revoked.' }),
});

export const apiKeyViewSchema = z
  .object({
    id: z.string(),
    principalId: z.string(),
    env: envSchema,
    prefix: z.string().meta({ description: 'The part of the key that may be shown.' }),
    lastFour: z.string(),
    scopes: z.array(z.string()),
    createdAt: z.iso.datetime(),
    createdBy: z.string(),
    expiresAt: z.iso.datetime().optional(),
    revokedAt: z.iso.datetime().optional(),
  })
  .meta({ id: 'ApiKey' });
/** A key as it is listed: nothing of its secret but the last four characters. */
export type ApiKeyView = z.infer<typeof apiKeyViewSchema>;

export const issuedApiKeySchema = z
  .object({
    ...apiKeyViewSchema.shape,
    key: z.string().optional().meta({
      description:
        'The key itself, in this answer only. A repeated request does not show it again.',
    }),
  })
  .meta({ id: 'IssuedApiKey' });

export const whoAmISchema = z
  .object({
    tenant: z.string(),
    id: z.string(),
    name: z.string(),
    kind: principalKindSchema,
    roles: z.array(z.enum(roles)),
    groups: z.array(z.string()),
    permissions: z.array(z.string()),
    env: envSchema,
    via: z.string(),
  })
  .meta({ id: 'WhoAmI' });
