import { z } from 'zod';
import { PlatformError } from '../../domain/errors.js';
import type { ChangeCollection } from '../../domain/etl/collection-view.js';
import type { Tx } from './database.js';
import type { EtlCollection } from './generated/client.js';

const reportSchema = z.looseObject({ legs: z.looseObject({ rrfAllowed: z.boolean() }) });

/**
 * RRF weighs both legs equally: it becomes a collection's default only where the newest evaluation of the live generation
 * says that its dense leg ranks as well as the lexical one (etl.md §11).
 * @throws FUSION_UNPROVEN
 */
export async function requireFusionEvidence(
  tx: Tx,
  collection: EtlCollection,
  { fusion }: Pick<ChangeCollection, 'fusion'>,
): Promise<void> {
  if (fusion !== 'rrf' || collection.fusion === 'rrf') return;
  const newest = await tx.retrievalEvalRun.findFirst({
    where: {
      tenantId: collection.tenantId,
      collectionId: collection.collectionId,
      generationId: collection.liveGenerationId ?? '',
      state: 'DONE',
    },
    orderBy: { evaluationId: 'desc' },
    select: { evaluationId: true, result: true },
  });
  const legs = reportSchema.safeParse(newest?.result).data?.legs;
  if (legs?.rrfAllowed === true) return;
  throw new PlatformError(
    'FUSION_UNPROVEN',
    newest === null
      ? 'The live generation has not been evaluated.'
      : `Evaluation ${newest.evaluationId} found the dense leg of the live generation below the lexical one.`,
    { errors: [{ pointer: '/fusion', code: 'FUSION_UNPROVEN' }] },
  );
}
