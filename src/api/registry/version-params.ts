import { z } from 'zod';
import { nameSchema } from '../../domain/ids.js';
import { versionNumberSchema } from '../../domain/registry/contract.js';

/** Path of one version. */
export const versionParams = z.strictObject({ model: nameSchema, version: versionNumberSchema });
