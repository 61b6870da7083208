import { signDelivery } from '../../src/domain/etl/webhook-signature.js';
import type { Answer } from './serve-routes.js';

/** Where and with what a webhook source is told, as `POST /v1/sources` answers it. */
export interface Hook {
  path: string;
  /** `whsec_<base64>`. */
  secret: string;
}

/** One delivery, in the words of its sender. */
export interface Delivery {
  id: string;
  body: string;
  /** What goes over the wire in place of the signed body. */
  sent?: string;
  /** When it was signed, in ms since the epoch; now where absent. */
  at?: number;
}

/** The three headers of a delivery that its source has signed. */
export function signedHeaders(secret: string, { id, body, at = Date.now() }: Delivery) {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const timestamp = String(Math.floor(at / 1000));
  const signature = signDelivery(key, { id, timestamp, body: Buffer.from(body) });
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature };
}

/** Signs a delivery and sends it. */
export async function sendDelivery(
  apiUrl: string,
  hook: Hook,
  delivery: Delivery,
): Promise<Answer> {
  const response = await fetch(`${apiUrl}${hook.path}`, {
    method: 'POST',
    headers: signedHeaders(hook.secret, delivery),
    body: delivery.sent ?? delivery.body,
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}
