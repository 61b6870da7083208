import { auditVerdictSchema } from '../domain/audit/contract.js';
import type { CliIo } from './cli-deps.js';

/** The verdict of `audit verify` in words, and whether it holds. */
export interface VerdictText {
  intact: boolean;
  text: string;
}

/**
 * Reads the answer of `audit.verify`.
 * @param tenant the tenant that the caller meant, if any: a proof of another chain proves nothing
 */
export function renderVerdict(
  io: Pick<CliIo, 'paint'>,
  body: unknown,
  tenant: string | undefined,
): VerdictText {
  const parsed = auditVerdictSchema.safeParse(body);
  if (!parsed.success) return { intact: false, text: 'The answer is not a verdict.' };
  const verdict = parsed.data;
  if (tenant !== undefined && tenant !== verdict.tenant) {
    return {
      intact: false,
      text: `This key proves the chain of ${verdict.tenant}, not of ${tenant}: use a key of ${tenant}.`,
    };
  }
  const proved = [
    `  ${verdict.verified} of ${verdict.size} entries proved, ${verdict.leaves} leaves, in ${verdict.durationMs} ms`,
    `  ${verdict.checkpoints} checkpoints agree; they vouch for the first ${verdict.witnessedTo} entries`,
    ...(verdict.headHash === undefined ? [] : [`  head ${verdict.headHash}`]),
  ];
  const { fault } = verdict;
  if (verdict.status === 'intact' && fault === undefined) {
    const line = `${io.paint('green', 'INTACT')}  audit chain of ${verdict.tenant}`;
    return { intact: true, text: [line, ...proved].join('\n') };
  }
  const line = `${io.paint('red', 'BROKEN')}  audit chain of ${verdict.tenant}`;
  const first =
    fault === undefined
      ? []
      : [`  first bad entry: ${fault.seq} (${fault.kind})`, `  ${fault.detail}`];
  return { intact: false, text: [line, ...first, ...proved].join('\n') };
}
