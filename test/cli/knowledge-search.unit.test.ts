import { type KnowledgeWorld, collectionId, ok, openKnowledgeWorld } from './knowledge-world.js';

let world: KnowledgeWorld;
beforeEach(async () => {
  world = await openKnowledgeWorld();
});
afterEach(() => world.close());

describe('search', () => {
  const citation = {
    documentId: '6f9619ff-8b86-8011-b42d-00c04fc964ff',
    revision: 3,
    start: 120,
    end: 640,
    unit: 'utf16',
    textSha256: 'ab'.repeat(32),
    title: 'Guide',
    headingPath: ['Guide', 'Security', 'Keys'],
    page: 7,
  };
  const hit = (of: object = {}) => ({
    chunkId: '6f9619ff-8b86-8011-b42d-00c04fc964fe',
    text: `${'Before that. '.repeat(20)}To rotate a key, issue a new one.\n${'After that. '.repeat(40)}`,
    score: 0.91236,
    stale: false,
    citation,
    ...of,
  });
  const answer = (...hits: object[]) => ({
    hits,
    collectionId,
    generationId: 'gen_1',
    embedFp: 'f',
    freshness: { oldestUnappliedMs: 0, lastCompleteScanAt: null, stale: false },
    exhausted: false,
    degraded: false,
  });
  const path = `POST /v1/collections/${collectionId}:query`;
  const search = (...more: string[]) =>
    world.anneal('search', 'handbook', 'how do I rotate a key?', '--purpose', 'support', ...more);

  it('asks with mode, count and typed filter', async () => {
    world.api[path] = ok(answer(hit()));
    await search(
      '-k',
      '3',
      '--mode',
      'lexical',
      '--filter',
      'team=platform',
      'year=2026',
      'final=true',
    );
    expect(world.bodyOf(path)).toEqual({
      text: 'how do I rotate a key?',
      k: 3,
      purpose: 'support',
      mode: 'lexical',
      filter: { team: 'platform', year: 2026, final: true },
    });
  });

  it('shows score, title, heading path, page and the part that answers, within 80 columns', async () => {
    world.api[path] = ok(
      answer(
        hit(),
        hit({ text: '鍵'.repeat(300), citation: { ...citation, title: 'T'.repeat(200) } }),
      ),
    );
    const found = await search();
    expect(found.code).toBe(0);
    const lines = found.out.split('\n');
    expect(lines[0]).toBe(' 1. 0.912  Guide');
    expect(lines[1]).toBe('    Security › Keys · page 7');
    expect(found.out).toContain('To rotate a key');
    const columns = (line: string) => [...line].length + (line.match(/鍵/gu)?.length ?? 0);
    expect(Math.max(...lines.map(columns))).toBeLessThanOrEqual(80);
  });

  it('never passes control characters of a document on to the terminal', async () => {
    world.api[path] = ok(answer(hit({ text: 'red \u001b[31m alert' })));
    expect((await search()).out).not.toContain('\u001b');
  });

  it('verifies each citation with --cite and exits 1 where one does not hold', async () => {
    world.api[path] = ok(answer(hit(), hit()));
    const verdicts = (...words: string[]) =>
      ok({ verdicts: words.map((verdict) => ({ ...citation, verdict, checked: true })) });
    world.api['POST /v1/citations:verify'] = verdicts('VALID', 'VALID');
    const held = await search('--cite');
    expect(held.code).toBe(0);
    expect(held.out).toContain(`VALID  ${citation.documentId} revision 3, 120–640`);
    expect(held.out).toContain(`sha256 ${citation.textSha256}`);
    const { documentId, revision, start, end, textSha256 } = citation;
    const cited = { documentId, revision, start, end, textSha256 };
    expect(world.bodyOf('POST /v1/citations:verify')).toEqual({
      purpose: 'support',
      citations: [cited, cited],
    });
    world.api['POST /v1/citations:verify'] = verdicts('VALID', 'SUPERSEDED');
    const broken = await search('--cite');
    expect(broken.code).toBe(1);
    expect(broken.err).toContain('1 of 2 citations do not verify.');
  });

  it('prints the section around each hit with --expand, and verifies it besides', async () => {
    const widened = { ...citation, start: 100, end: 900, textSha256: 'cd'.repeat(32) };
    const section = { text: 'Keys\n\nRotate \u001b them yearly.', whole: false, citation: widened };
    world.api[path] = ok(answer(hit({ section }), hit()));
    const verdict = { ...citation, verdict: 'VALID', checked: true };
    world.api['POST /v1/citations:verify'] = ok({ verdicts: [verdict, verdict, verdict] });
    const found = await search('--expand', 'section', '--cite');
    expect(found.code).toBe(0);
    expect(world.bodyOf(path)).toMatchObject({ expand: 'section' });
    expect(world.bodyOf('POST /v1/citations:verify')).toMatchObject({
      citations: [
        { start: 120, end: 640 },
        { start: 120, end: 640 },
        { start: 100, end: 900, textSha256: widened.textSha256 },
      ],
    });
    expect(found.out).toContain('    Keys\n\n    Rotate them yearly.\n    …\n');
    expect(found.out).toContain(`VALID  ${citation.documentId} revision 3, 100–900`);
    world.api['POST /v1/citations:verify'] = ok({
      verdicts: [verdict, verdict, { ...verdict, verdict: 'MISMATCH' }],
    });
    const broken = await search('--expand', 'section', '--cite');
    expect([broken.code, broken.out.includes('MISMATCH')]).toEqual([1, true]);
    expect(broken.err).toContain('1 of 3 citations do not verify.');
  });

  it('prints the raw answer with --json', async () => {
    world.api[path] = ok(answer(hit()));
    expect(JSON.parse((await search('--json')).out)).toEqual(answer(hit()));
  });

  it('says who asked where nothing was found', async () => {
    world.api[path] = ok(answer());
    world.api['GET /v1/me'] = ok({
      name: 'steward',
      groups: ['staff'],
      roles: ['data-steward'],
    });
    const found = await search('--cite');
    expect(found).toMatchObject({ code: 0, out: '' });
    expect(found.err).toContain('You are steward');
    expect(found.err).toContain('group:staff, group:data-steward');
  });

  it('says where the answer is late, cut short or without vectors', async () => {
    const freshness = { oldestUnappliedMs: 400_000, lastCompleteScanAt: null, stale: true };
    const body = { ...answer(hit({ stale: true })), freshness, exhausted: true, degraded: true };
    world.api[path] = ok(body);
    const found = await search();
    expect(found.out).toContain('Guide (stale)');
    for (const hint of ['400 s ago', 'by words alone', 'stopped at its limit', 'in quarantine'])
      expect(found.err).toContain(hint);
  });
});
