import { Client, Connection } from '@temporalio/client';
import { askSql } from '../ask-sql.js';
import { serveCalls } from '../serve-calls.js';
import {
  isAcknowledged,
  withEvidence,
  type Evidence,
  type EvidenceSetup,
  type Judgement,
  type Sql,
} from './evidence.js';
import { judgeAudit } from './judge-audit.js';
import { judgeBacklog, judgeHistories, untilNothingIsLeft } from './judge-ends.js';
import { judgeActiveVersions, judgeTransitions } from './judge-models.js';
import { findAmbiguous, judgeEffects, judgeEndings, type Ambiguous } from './judge-requests.js';
import { judgeCanaries, judgeTenants } from './judge-walls.js';
import { keepHistories } from './kept-histories.js';

// The checker of a run: reads the driver's log, the provider's books, Postgres, Temporal and the logs, and says which
// invariant does not hold. It has no part in what happens.

/** What the checker came to. */
export interface Verdict {
  judgements: Judgement[];
  acknowledged: number;
  /** Acknowledgements by the time of their answer: what each fault is measured against. */
  acknowledgedAt: number[];
  ambiguous: Ambiguous[];
}

/** Money is spent where budgets are kept. */
async function judgeSpend({ sql }: Evidence): Promise<Judgement> {
  const [row] = await sql(
    `select count(*)::int as n from decision where hold_micro_usd is not null`,
  );
  return {
    id: 'I8',
    what: 'spend within its limit',
    judged: 0,
    findings: Number(row?.['n']) > 0 ? ['money is held and nobody judges it'] : [],
    notApplicable: 'no budgets yet',
  };
}

const judges: readonly ((evidence: Evidence, tookMs?: number) => Promise<Judgement>)[] = [
  judgeEndings,
  judgeEffects,
  judgeAudit,
  judgeActiveVersions,
  judgeTransitions,
  judgeTenants,
  judgeCanaries,
  judgeSpend,
  judgeBacklog,
  judgeHistories,
];

async function judge(evidence: Evidence, tookMs: number | undefined): Promise<Verdict> {
  const judgements: Judgement[] = [];
  for (const one of judges) judgements.push(await one(evidence, tookMs));
  const acknowledged = evidence.requests.flatMap(({ answers }) => {
    const answer = answers.find(isAcknowledged);
    return answer === undefined ? [] : [answer.at];
  });
  return {
    judgements,
    acknowledged: acknowledged.length,
    acknowledgedAt: acknowledged.sort((a, b) => a - b),
    ambiguous: await findAmbiguous(evidence),
  };
}

serveCalls({
  /** Waits until nothing is on its way; undefined where that takes longer than the patience. */
  settle: async (of: { adminUrl: string; temporalAddress: string; patienceMs: number }) => {
    const connection = await Connection.connect({ address: of.temporalAddress });
    const client = new Client({ connection });
    const sql: Sql = (text, values) => askSql(of.adminUrl, text, values);
    return untilNothingIsLeft({ sql, client }, of.patienceMs).finally(() => connection.close());
  },
  judge: async ({ setup, tookMs }: { setup: EvidenceSetup; tookMs?: number }): Promise<Verdict> => {
    if (setup.temporalAddress !== undefined)
      await keepHistories(setup.temporalAddress, setup.historiesFile);
    return withEvidence(setup, (evidence) => judge(evidence, tookMs));
  },
});
