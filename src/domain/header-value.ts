import { defaultPayloadConverter, type Headers } from '@temporalio/common';

/** What a Temporal header says; undefined where it is not there. */
export function headerValue(headers: Headers, name: string): unknown {
  const payload = headers[name];
  return payload === undefined ? undefined : defaultPayloadConverter.fromPayload(payload);
}
