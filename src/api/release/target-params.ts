import { z } from 'zod';
import type { Principal } from '../../domain/access/principal.js';
import { PlatformError } from '../../domain/errors.js';
import { envSchema, nameSchema } from '../../domain/ids.js';
import type { Target } from '../../domain/release/contract.js';

/** `/v1/models/{model}/envs/{env}`. */
export const targetParams = z.strictObject({ model: nameSchema, env: envSchema });

/** The target of a path. An environment that the caller's key does not carry does not exist for it. @throws NOT_FOUND */
export function targetOf(
  principal: Principal,
  { model, env }: z.infer<typeof targetParams>,
): Target {
  if (env !== principal.env) {
    throw new PlatformError('NOT_FOUND', 'There is nothing of this name here.');
  }
  return { env, kind: 'model', name: model };
}
