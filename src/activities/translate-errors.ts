import type {
  ActivityExecuteInput,
  ActivityInboundCallsInterceptor,
  Next,
} from '@temporalio/worker';
import { failureOf, PlatformError } from '../domain/errors.js';

/** Gives every activity one translation of refusals: `type` is the code, final codes are non-retryable. */
export const translateErrors: ActivityInboundCallsInterceptor = {
  async execute(
    input: ActivityExecuteInput,
    next: Next<ActivityInboundCallsInterceptor, 'execute'>,
  ) {
    try {
      return await next(input);
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      const { code, message, errors, extensions } = error;
      throw failureOf(code, message, [{ errors, ...extensions }]);
    }
  },
};
