import { z } from 'zod';
import type { CliIo } from './cli-deps.js';
import { renderResult } from './render-result.js';

const linkSchema = z
  .looseObject({
    id: z.string().nullish(),
    epoch: z.int().nullish(),
    digest: z.string().nullish(),
    version: z.int().nullish(),
    model: z.string().nullish(),
    state: z.string().nullish(),
    verdict: z.string().nullish(),
    assurance: z.string().nullish(),
    actor: z.string().nullish(),
    requestedBy: z.string().nullish(),
    trainedBy: z.string().nullish(),
    verified: z.boolean().nullish(),
  })
  .nullable();
const chainSchema = z.record(z.string(), linkSchema);

/**
 * The chain from a decision back to its data, a link a line: what it is, its state, whether its digest was found to hold.
 * Undefined for any other answer.
 */
export function renderProvenance(
  io: Pick<CliIo, 'columns'>,
  shown: { id: string; body: unknown },
): string | undefined {
  const chain = shown.id === 'decisions.provenance' ? chainSchema.safeParse(shown.body) : undefined;
  if (chain?.success !== true) return undefined;
  const items = Object.entries(chain.data).map(([link, of]) => ({
    link,
    name:
      of === null
        ? 'none'
        : typeof of.version === 'number'
          ? `${of.model ?? ''} v${of.version}`
          : (of.id ?? (typeof of.epoch === 'number' ? `epoch ${of.epoch}` : of.digest)),
    state: of?.verdict ?? of?.state ?? of?.assurance ?? '',
    digest: typeof of?.verified !== 'boolean' ? '' : of.verified ? 'holds' : 'DOES NOT HOLD',
  }));
  return `${renderResult(io, 'table', { items })}\nby whom, when and every digest: --output json`;
}
