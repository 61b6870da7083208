import { readFileSync } from 'node:fs';
import {
  judgeRun,
  type RunFacts,
  type RunStatus,
  type WorkFacts,
} from '../../src/domain/reconcile/judge-run.js';
import { isDerivedRun, tenantOfRun } from '../../src/domain/reconcile/run-id.js';
import { workflowTypes } from '../../src/domain/reconcile/workflow-types.js';

const POINT = 1_000_000;
const restored = { restorationId: 'rst_1', recoveredToMs: POINT };
const NOW = POINT + 600_000;

const work = (facts: Partial<WorkFacts> = {}): WorkFacts => ({
  committedMs: POINT - 60_000,
  settledMs: null,
  restarts: 0,
  restartAsked: false,
  ...facts,
});
const run = (status: RunStatus, facts: Partial<RunFacts> = {}): RunFacts => ({
  runId: 'r1',
  status,
  startedMs: POINT - 59_000,
  closedMs: status === 'RUNNING' ? null : POINT - 30_000,
  progressedMs: null,
  ...facts,
});
const judge = (facts: { work?: WorkFacts; run?: RunFacts; afterRestore?: boolean }) => {
  const judged = judgeRun({
    work: facts.work,
    run: facts.run,
    restored: facts.afterRestore === true ? restored : undefined,
    nowMs: NOW,
  });
  return judged && `${judged.kind} ${judged.action}`;
};

describe('a run and its work', () => {
  const late = POINT + 10_000;
  it.each<[string, Parameters<typeof judge>[0], string | undefined]>([
    ['that both go on agree', { work: work(), run: run('RUNNING') }, undefined],
    ['that both have ended agree', { work: work({ settledMs: 1 }), run: run('FAILED') }, undefined],
    ['of which nobody knows anything', {}, undefined],
    ['whose run Temporal has lost', { work: work() }, 'MISSING_RUN RESTARTED'],
    ['that ended and whose run is gone agree', { work: work({ settledMs: 1 }) }, undefined],
    ['whose end no row tells is left alone', { work: work({ settledMs: undefined }) }, undefined],
    [
      'whose result Postgres has not',
      { work: work(), run: run('COMPLETED') },
      'LOST_RESULT RESTARTED',
    ],
    ['that was terminated', { work: work(), run: run('TERMINATED') }, 'ENDED_EARLY HELD'],
    ['that failed by itself', { work: work(), run: run('FAILED') }, 'ENDED_EARLY HELD'],
    [
      'that was terminated and is asked for again',
      { work: work({ restartAsked: true }), run: run('TERMINATED') },
      'ENDED_EARLY RESTARTED',
    ],
    [
      'that does not settle however often it is started',
      { work: work({ restarts: 3 }), run: run('COMPLETED') },
      'ENDED_EARLY HELD',
    ],
    [
      'whose run goes on two minutes after its end',
      { work: work({ settledMs: NOW - 120_000 }), run: run('RUNNING') },
      'LINGERING_RUN STOPPED',
    ],
    [
      'whose run is about to end',
      { work: work({ settledMs: NOW - 119_000 }), run: run('RUNNING') },
      undefined,
    ],
    ['that nothing asked for', { run: run('RUNNING') }, 'ORPHANED_RUN STOPPED'],
    [
      'that nothing asked for and that is about to refuse itself',
      { run: run('RUNNING', { startedMs: NOW - 29_000 }) },
      undefined,
    ],
    ['that nothing asked for and that has ended', { run: run('COMPLETED') }, undefined],
    [
      'whose id a lost run had before it',
      { work: work({ committedMs: late }), run: run('TERMINATED') },
      'MISSING_RUN RESTARTED',
    ],
  ])('%s', (_, facts, expected) => {
    expect(judge(facts)).toBe(expected);
  });

  it.each<[string, Parameters<typeof judge>[0], string | undefined]>([
    [
      'that went on after the point',
      { work: work(), run: run('RUNNING', { progressedMs: late }) },
      'RUN_AHEAD RESTARTED',
    ],
    [
      'that stood still since before it',
      { work: work(), run: run('RUNNING', { progressedMs: POINT - 5_001 }) },
      undefined,
    ],
    ['that never began', { work: work(), run: run('RUNNING', { progressedMs: null }) }, undefined],
    [
      'that failed after it',
      { work: work(), run: run('FAILED', { closedMs: late }) },
      'LOST_RESULT RESTARTED',
    ],
    [
      'that failed before it',
      { work: work(), run: run('FAILED', { closedMs: POINT - 5_001 }) },
      'ENDED_EARLY HELD',
    ],
    [
      'that ended after it and is not known',
      { run: run('COMPLETED', { closedMs: late }) },
      'EFFECT_IN_DOUBT HELD',
    ],
    [
      'that ended before it and is not known',
      { run: run('COMPLETED', { closedMs: POINT - 5_001 }) },
      undefined,
    ],
  ])('[F31] after a restore: %s', (_, facts, expected) => {
    expect(judge({ ...facts, afterRestore: true })).toBe(expected);
  });
});

describe('the runs that are looked at', () => {
  it('are all workflows of this build and no others', () => {
    const source = readFileSync(new URL('../../src/workflows/index.ts', import.meta.url), 'utf8');
    const exported = [...source.matchAll(/export \{([^}]*)\}/g)].flatMap(([, names = '']) =>
      names.split(',').map((name) => name.trim()),
    );
    expect([...workflowTypes].sort()).toEqual(exported.filter((name) => name !== '').sort());
  });

  it.each([
    ['infer', 'infer/acme/0123', 'acme'],
    ['inferShadow', 'shadow/acme/inf_1/v2', 'acme'],
    ['startDueWork', 'etl/acme/scan-src_1-2026', undefined],
    ['ingestBatch', 'etl/acme/bat_1', undefined],
    ['somebodyElses', 'order/acme/1', undefined],
    ['infer', 'no-layout', undefined],
  ])('%s under %s belongs to %s', (workflowType, workflowId, tenant) => {
    expect(tenantOfRun({ workflowType, workflowId }, workflowTypes)).toBe(tenant);
  });

  it('those that a watcher or a Schedule starts are told apart', () => {
    const derived = [...workflowTypes].filter((workflowType) => isDerivedRun({ workflowType }));
    expect(derived).toEqual(['ingestBatch', 'startDueWork']);
  });
});
