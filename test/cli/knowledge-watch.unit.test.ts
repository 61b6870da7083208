import {
  type KnowledgeWorld,
  collectionId,
  ok,
  openKnowledgeWorld,
  page,
  source,
  ui,
} from './knowledge-world.js';

let world: KnowledgeWorld;
beforeEach(async () => {
  world = await openKnowledgeWorld();
});
afterEach(() => world.close());

describe('etl source watch', () => {
  const startedAt = '2026-11-21T10:00:00.000Z';
  const early = '2026-11-20T10:00:00.000Z';
  const late = '2026-11-21T10:00:05.000Z';
  const scan = (state: string, of: object = {}) => ({
    id: 'scn_1',
    state,
    counts: { upserts: 3, deletes: 1, withheld: 0 },
    createdAt: startedAt,
    ...of,
  });
  const document = (id: string, of: object) => ({
    id,
    key: `${id}.md`,
    sourceId: 'src_1',
    state: 'INDEXED',
    revision: 1,
    updatedAt: late,
    ...of,
  });
  const detail = (revisions: object[], reason?: string) =>
    ok({
      revisions,
      ...(reason === undefined ? {} : { whyNotIndexed: { reason, evidence: { characters: 3 } } }),
    });
  const watch = (...more: string[]) => world.anneal('etl', 'source', 'watch', 'handbook', ...more);

  beforeEach(() => {
    Object.assign(world.api, {
      'GET /v1/sources': ok(page(source({ documents: 6 }))),
      'GET /v1/sources/src_1': ok({ ...source(), links: { temporalUi: ui } }),
      'GET /v1/scans': ok(page(scan('APPLIED'))),
      'GET /v1/documents': ok(
        page(
          document('fresh', {}),
          document('edited', { revision: 2 }),
          document('touched', {}),
          document('old', { updatedAt: early }),
          document('locked', { state: 'PENDING', revision: undefined }),
          document('worse', { state: 'STALE' }),
          document('gone', { state: 'DELETED', deletedAt: late }),
          document('forgotten', { state: 'DELETED', deletedAt: early }),
        ),
      ),
      'GET /v1/documents/fresh': detail([{ revision: 1, createdAt: late }]),
      'GET /v1/documents/edited': detail([
        { revision: 2, createdAt: late },
        { revision: 1, createdAt: early, supersededAt: late },
      ]),
      'GET /v1/documents/touched': detail([{ revision: 1, createdAt: early }]),
      'GET /v1/documents/locked': detail([], 'encrypted'),
      'GET /v1/documents/worse': detail([{ revision: 1, createdAt: early }], 'empty_text'),
    });
  });

  it('tells of each file how it came out since the last scan that found something, and why', async () => {
    const seen = await watch('--once');
    expect(seen.code).toBe(0);
    expect(seen.out.split('\n')).toEqual([
      'changed      edited.md',
      'new          fresh.md',
      'deleted      gone.md',
      'quarantined  locked.md: it opens with a password only (encrypted)',
      'unchanged    old.md',
      'unchanged    touched.md',
      'quarantined  worse.md: it has less than 20 characters of text (empty_text); the revision before answers',
      '7 files: 1 new, 1 changed, 2 unchanged, 1 deleted, 2 quarantined',
    ]);
    expect(seen.err).toContain(ui);
    expect(seen.err).toContain('anneal quarantine list');
  });

  it('proposes commands with a key that may do them, and says what a steward has given up', async () => {
    const keys = { admin: 'k', engineer: 'k', steward: 'k' };
    world.cli.deps = { ...world.cli.deps, apiKey: undefined, readKeys: async () => keys };
    world.api['GET /v1/documents/worse'] = ok({
      revisions: [],
      lineage: [{ state: 'SUPERSEDED' }],
    });
    const seen = await watch('--once');
    expect(seen.err).toContain('next: anneal quarantine list --state OPEN --as steward; then');
    expect(seen.out).toContain('discarded    worse.md');
  });

  it('says which rows of a table are not searched', async () => {
    const flags = [{ flag: 'ragged_rows', evidence: { rows: 3, lines: '4, 9' } }];
    world.api['GET /v1/documents/fresh'] = detail([
      { revision: 1, createdAt: late, findings: { pii: {}, flags } },
    ]);
    expect((await watch('--once')).out).toContain(
      'new          fresh.md: 3 rows left out, with other cells than the header: line 4, 9, …',
    );
  });

  it('does not read documents one by one that nothing has touched', async () => {
    await watch('--once');
    expect(world.asked.map(({ call }) => call)).not.toContain('GET /v1/documents/old');
  });

  it('measures against the last scan that found something, not against an idle one after it', async () => {
    const idle = scan('APPLIED', {
      id: 'scn_2',
      counts: { upserts: 0, deletes: 0, withheld: 0 },
      createdAt: '2026-11-21T11:00:00.000Z',
    });
    world.api['GET /v1/scans'] = ok(page(idle, scan('APPLIED')));
    expect((await watch('--once')).out).toContain('new          fresh.md');
  });

  it('follows until nothing is pending, and shows a file once', async () => {
    let looks = 0;
    world.api['GET /v1/sources'] = () =>
      ok(page(source({ documents: 1, backlog: { pending: ++looks < 3 ? 2 : 0, claimed: 0 } })));
    const seen = await watch();
    expect(seen.code).toBe(0);
    expect(looks).toBe(3);
    expect(seen.err).toContain('0.0 s  docs: 2 waiting');
    expect(seen.out.split('\n').filter((line) => line.includes('fresh.md'))).toHaveLength(1);
    expect(seen.out.split('\n').filter((line) => line.includes('old.md'))).toHaveLength(1);
  });

  it.each([
    [
      { state: 'PAUSED', stateReason: 'the folder is gone' },
      'APPLIED',
      'anneal sources resume src_1',
    ],
    [{}, 'WAITING', 'would delete 9 documents and waits for a decision: anneal scans decide scn_1'],
    [{}, 'FAILED', 'the last scan failed: SOURCE_UNAVAILABLE'],
  ])('exits 1 with the way on where a person has to act: %j %s', async (of, state, hint) => {
    world.api['GET /v1/sources'] = ok(page(source(of)));
    world.api['GET /v1/scans'] = ok(
      page(scan(state, { reason: 'SOURCE_UNAVAILABLE', counts: { withheld: 9 } })),
    );
    const seen = await watch();
    expect(seen.code).toBe(1);
    expect(seen.err).toContain(hint);
  });

  it('answers one JSON document with --json', async () => {
    const seen = await watch('--json');
    const { collection: of, files, troubles } = JSON.parse(seen.out) as Record<string, unknown>;
    expect(of).toEqual({ id: collectionId, name: 'handbook' });
    expect(troubles).toEqual([]);
    expect(files).toContainEqual({
      key: 'locked.md',
      documentId: 'locked',
      sourceId: 'src_1',
      outcome: 'quarantined',
      reason: 'encrypted',
      evidence: { characters: 3 },
    });
  });
});
