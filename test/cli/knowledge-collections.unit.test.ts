import {
  type KnowledgeWorld,
  collection,
  collectionId,
  ok,
  openKnowledgeWorld,
  page,
  problem,
  ui,
} from './knowledge-world.js';

let world: KnowledgeWorld;
beforeEach(async () => {
  world = await openKnowledgeWorld();
});
afterEach(() => world.close());

describe('etl collection create', () => {
  const create = ['etl', 'collection', 'create', 'handbook'];

  it('sends what was given and nothing else, and says what comes next', async () => {
    world.api['POST /v1/collections'] = { status: 201, body: collection() };
    const made = await world.anneal(
      ...[...create, '--embedder', 'hash-384', '--acl', 'group:staff', '--purpose', 'support'],
    );
    expect(made.code).toBe(0);
    expect(world.bodyOf('POST /v1/collections')).toEqual({
      name: 'handbook',
      embedder: 'hash-384',
      aclDefault: ['group:staff'],
      purposes: ['support'],
    });
    expect(made.out).toContain(`Collection handbook (${collectionId})`);
    expect(made.err).toContain('next: anneal etl source add folder <path> --collection handbook');
  });

  it('takes several readers and purposes, repeated or in a row', async () => {
    world.api['POST /v1/collections'] = { status: 201, body: collection({ aclDefault: [] }) };
    const made = await world.anneal(
      ...[...create, '--acl', 'group:a', 'user:b', '--purpose', 'x', '--purpose', 'y'],
    );
    expect(world.bodyOf('POST /v1/collections')).toMatchObject({
      aclDefault: ['group:a', 'user:b'],
      purposes: ['x', 'y'],
    });
    expect(made.out).toContain('every source needs --acl');
  });

  it('shows a refusal as every other command does', async () => {
    world.api['POST /v1/collections'] = problem(409, 'ALREADY_EXISTS');
    const refused = await world.anneal(...create, '--purpose', 'support');
    expect(refused).toEqual({
      code: 1,
      out: '',
      err: 'ALREADY_EXISTS (409) It is ALREADY_EXISTS.\n  next: Go on.',
    });
    const json = await world.anneal(...create, '--purpose', 'support', '--json');
    expect(JSON.parse(json.err)).toMatchObject({ code: 'ALREADY_EXISTS' });
  });
});

describe('names', () => {
  const search = (name: string) => world.anneal('search', name, 'x', '--purpose', 'support');

  it('offers the nearest collection for a typo, and the way to make the first', async () => {
    const typo = await search('handbok');
    expect(typo).toMatchObject({ code: 2, out: '' });
    expect(typo.err).toBe('There is no collection handbok. Did you mean handbook?');
    expect((await search('zzz')).err).toContain('There are: handbook.');
    world.api['GET /v1/collections'] = ok(page());
    expect((await search('zzz')).err).toContain('anneal etl collection create zzz');
  });

  it('takes an id without looking it up: whoever only asks may not list collections', async () => {
    world.api[`POST /v1/collections/${collectionId}:query`] = problem(403, 'FORBIDDEN');
    await search(collectionId);
    expect(world.asked.map(({ call }) => call)).toEqual([
      `POST /v1/collections/${collectionId}:query`,
    ]);
  });
});

describe('keys', () => {
  it('uses the local steward unless told otherwise', async () => {
    const readKeys = async () => ({ admin: 'k-admin', steward: 'k-steward', service: 'k-service' });
    world.cli.deps = { ...world.cli.deps, apiKey: undefined, readKeys };
    await world.anneal('etl', 'source', 'watch', 'handbook');
    await world.anneal('etl', 'source', 'watch', 'handbook', '--as', 'service');
    const used = world.asked.map(({ headers }) => headers.authorization);
    expect([used[0], used.at(-1)]).toEqual(['Bearer k-steward', 'Bearer k-service']);
  });
});

describe('etl collection reembed', () => {
  const path = `POST /v1/collections/${collectionId}:reembed`;
  const started = {
    status: 202,
    body: {
      id: 'gen_2',
      workflowId: 'w',
      status: 'BUILDING',
      links: { self: '/', temporalUi: ui },
    },
  };
  const reembed = (...more: string[]) =>
    world.anneal('etl', 'collection', 'reembed', 'handbook', '--embedder', 'lsa', ...more);
  const built = (state: string) => ({ id: 'gen_2', embedder: 'lsa', sink: 'lancedb', state });

  it('starts it and shows where it can be seen', async () => {
    world.api[path] = started;
    const begun = await reembed();
    expect(begun.code).toBe(0);
    expect(world.bodyOf(path)).toEqual({ embedder: 'lsa' });
    expect(begun.err).toContain(ui);
    expect(begun.out).toContain('No gate: --eval-set names one.');
  });

  it('names the store to change to and the questions of the gate', async () => {
    world.api[path] = started;
    const begun = await reembed('--sink', 'pgvector', '--eval-set', 'evs_1');
    expect(world.bodyOf(path)).toEqual({
      embedder: 'lsa',
      sink: 'pgvector',
      gate: { evalSetId: 'evs_1' },
    });
    expect(begun.out).toContain('until the gate passes');
  });

  it.each([
    ['LIVE', 0, ''],
    ['DROPPED', 1, 'did not go live'],
  ])('follows it with --wait until it is %s', async (end, code, hint) => {
    world.api[path] = started;
    let looks = 0;
    world.api[`GET /v1/collections/${collectionId}`] = () => {
      const isOver = ++looks > 2;
      const generations = isOver && end === 'DROPPED' ? [] : [built('BUILDING')];
      const liveGenerationId = isOver && end === 'LIVE' ? 'gen_2' : 'gen_1';
      return ok(collection({ generations, liveGenerationId }));
    };
    const ended = await reembed('--wait');
    expect(ended.code).toBe(code);
    expect(ended.err).toContain(hint);
    expect(ended.err).toContain(end);
  });

  it('waits while the embedder is fitted, before there is a generation', async () => {
    world.api[path] = started;
    let looks = 0;
    world.api[`GET /v1/collections/${collectionId}`] = () =>
      ok(collection({ liveGenerationId: ++looks > 2 ? 'gen_2' : 'gen_1' }));
    const ended = await reembed('--wait');
    expect(ended.code).toBe(0);
    expect(ended.err).toContain('FITTING');
  });

  it('gives up after the time named and exits 1', async () => {
    world.api[path] = started;
    world.api[`GET /v1/collections/${collectionId}`] = ok(
      collection({ generations: [built('BUILDING')] }),
    );
    const ended = await reembed('--wait=5');
    expect(ended.code).toBe(1);
    expect(ended.err).toContain('Still BUILDING after 5 s');
  });
});

describe('wrong use', () => {
  it.each([
    [['etl', 'colection', 'create', 'x'], 'Did you mean collection?'],
    [['etl', 'source', 'wacth', 'x'], 'Did you mean watch?'],
    [['serch', 'x', 'y'], 'Did you mean search?'],
    [['etl', 'collection', 'create', 'x'], "'--purpose <purpose...>' not specified"],
    [['search', 'handbook', '--purpose', 'x'], "missing required argument 'text'"],
    [['search', 'handbook', 'x', '--purpose', 'x', '-k', 'many'], 'give a whole number'],
    [['search', 'handbook', 'x', '--purpose', 'x', '--mode', 'magic'], 'hybrid, lexical, dense'],
    [['search', 'handbook', 'x', '--purpose', 'x', '--filter', 'team'], 'write it as field=value'],
    [
      ['etl', 'collection', 'reembed', 'handbook', '--embedder', 'lsa', '--wait=soon'],
      'give seconds',
    ],
    [
      ['etl', 'source', 'add', 'folder', '/nowhere', '--collection', 'x'],
      '/nowhere cannot be read (ENOENT)',
    ],
  ])('%j exits 2 with the way out', async (args, hint) => {
    const refused = await world.anneal(...args);
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).toContain(hint);
    expect(world.asked).toEqual([]);
  });

  it.each([
    ['etl collection create', 'handbook --embedder hash-384 --acl group:staff --purpose support'],
    ['etl collection reembed', 'handbook --embedder lsa'],
    ['etl source add folder', './docs --collection handbook'],
    ['etl source watch', 'handbook'],
    ['search', 'handbook "how do I rotate a key?" --purpose support --cite'],
  ])('anneal %s --help ends with an example', async (command, example) => {
    const help = await world.anneal(...command.split(' '), '--help');
    expect(help).toMatchObject({ code: 0, err: '' });
    expect(help.out).toContain(`Example:\n  $ anneal ${command} ${example}`);
  });
});
