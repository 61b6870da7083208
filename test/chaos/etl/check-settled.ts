import { aclHash } from '../../../src/domain/etl/fingerprints.js';
import { textDigest } from './source-model.js';
import { compareRows, repeated, type Finding } from './findings.js';
import { groups } from './make-changes.js';
import type { FoundHit, Reader } from './reader.js';
import { differenceOf, spanOf, type Content, type SourceModel } from './source-model.js';

/** What a full look needs. */
export interface Look {
  reader: Reader;
  model: SourceModel;
  /** Takes into the model what was done since: what a look has seen may be newer than what the model knew before it. */
  refresh: () => void;
  /** Documents that are looked at closely. */
  names: readonly string[];
  /** Bodies that were in a source and are there no more. */
  formerBodies: readonly string[];
  /** Citations that earlier looks were given. */
  cited: Map<string, FoundHit['citation']>;
}

/** Runs work over items, a few at a time. */
export async function each<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const open = [...items];
  const run = async () => {
    for (let item = open.shift(); item !== undefined; item = open.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 4 }, run));
}

/** The one word of a body that is in no other. */
export const wordOf = (body: string): string => /says (\w+) about/.exec(body)?.[1] ?? body;

/** By id: state, spans in order, access list. */
async function checkById({ reader, model, names }: Look, found: Finding[]): Promise<void> {
  const expected = model.expected();
  await each(names, async (name) => {
    const shown = await reader.byId(name);
    const wanted = expected.get(name) ?? null;
    if ('absent' in shown && shown.absent.includes(' ')) {
      if (wanted !== null)
        found.push({ kind: 'quarantine', path: 'id', detail: `${name} ${shown.absent}` });
      return;
    }
    const difference = differenceOf('absent' in shown ? null : shown, wanted);
    if (difference === undefined) return;
    const spans = 'absent' in shown ? [] : shown.spans;
    const wantedSpans = wanted?.sections.map(spanOf) ?? [];
    const kind =
      repeated(spans, wantedSpans) > 0
        ? 'duplicate'
        : difference.startsWith('may be read')
          ? 'access'
          : spans.some((span) => !wantedSpans.includes(span)) || wanted === null
            ? 'stale'
            : 'miss';
    found.push({ kind, path: 'id', detail: `${name} ${difference}` });
  });
}

/** The store itself against the manifests and against the source. */
async function checkStore({ reader, model }: Look, found: Finding[]): Promise<void> {
  const rows = await reader.stored();
  const manifests = await reader.manifests();
  const stored = rows.map(({ rowId }) => rowId);
  const compared = compareRows(
    stored,
    manifests.flatMap(({ rowIds }) => rowIds),
  );
  const add = (kind: Finding['kind'], detail: string) => found.push({ kind, path: 'scan', detail });
  for (const row of compared.orphans) add('orphan', `row ${row} is in no manifest`);
  for (const row of compared.duplicates) add('duplicate', `row ${row} is there twice`);
  for (const row of compared.misses) add('miss', `row ${row} of a manifest is not in the store`);
  const byDocument = Map.groupBy(rows, ({ docId }) => docId);
  for (const [name, content] of model.expected()) {
    const own = byDocument.get(reader.idOf(name)) ?? [];
    byDocument.delete(reader.idOf(name));
    const wanted = content.sections.map(
      (section) => `${content.title} > ${section.name}\n${spanOf(section)}`,
    );
    const texts = own.map(({ text }) => text);
    const missing = wanted.filter((text) => !texts.includes(text)).length;
    const foreign = texts.filter((text) => !wanted.includes(text)).length;
    const twice = repeated(texts, wanted);
    if (missing > 0) add('miss', `${name}: ${missing} of ${wanted.length} spans have no row`);
    if (foreign > 0) add('orphan', `${name}: ${foreign} rows of another state`);
    if (twice > 0) add('duplicate', `${name}: ${twice} rows too many`);
    const hash = aclHash({ acl: content.acl, deniedPurposes: [] });
    const old = own.filter(({ accessHash }) => accessHash !== hash).length;
    if (old > 0) add('stale', `${name}: ${old} rows with an earlier access list`);
  }
  for (const [docId, own] of byDocument)
    add('orphan', `${own.length} rows of ${docId}, which no source has`);
}

interface Wanted {
  documentId: string;
  text: string;
}

const pairOf = ({ documentId, text }: Wanted): string => `${documentId} ${text}`;

/** Documents and spans that hold a word, as the source has them. */
function holdersOf({ reader, model }: Look, word: string): Wanted[] {
  const holders: Wanted[] = [];
  for (const [name, content] of model.expected())
    for (const section of content.sections)
      if (section.body.includes(word))
        holders.push({ documentId: reader.idOf(name), text: spanOf(section) });
  return holders;
}

function compareHits(
  of: { path: Finding['path']; what: string; found: Finding[] },
  hits: readonly Wanted[],
  wanted: readonly Wanted[],
): void {
  const { path, what, found } = of;
  const got = hits.map(pairOf);
  const want = wanted.map(pairOf);
  for (const pair of new Set(want))
    if (!got.includes(pair)) found.push({ kind: 'miss', path, detail: `${what}: not found` });
  for (const pair of new Set(got)) {
    if (!want.includes(pair)) {
      found.push({
        kind: 'stale',
        path,
        detail: `${what}: ${pair.slice(0, 120)} is not there any more`,
      });
      continue;
    }
    const more =
      got.filter((one) => one === pair).length - want.filter((one) => one === pair).length;
    if (more > 0) found.push({ kind: 'duplicate', path, detail: `${what}: ${more} too many` });
  }
}

/** Both legs, the filter and the citations, for every span of some documents. */
async function checkSearch(look: Look, found: Finding[]): Promise<void> {
  const { reader, model, names, cited } = look;
  const expected = model.expected();
  const everywhere = new Set(
    [...expected].flatMap(([name, { sections }]) =>
      sections.map((section) => pairOf({ documentId: reader.idOf(name), text: spanOf(section) })),
    ),
  );
  const spans = names.flatMap((name) => {
    const content = expected.get(name);
    return content?.sections.map((section, at) => ({ name, content, section, at })) ?? [];
  });
  await each(spans, async ({ name, content, section, at }) => {
    const word = wordOf(section.body);
    const wanted = holdersOf(look, word);
    const what = `${name} “${word}”`;
    const hits = await reader.search({ text: word, mode: 'lexical', k: 20 });
    compareHits({ path: 'lexical', what, found }, hits, wanted);
    for (const hit of hits) {
      if (textDigest(hit.text) !== hit.citation.textSha256)
        found.push({ kind: 'stale', path: 'citation', detail: `${what}: hash of another text` });
      cited.set(pairOf(hit), hit.citation);
    }
    const text = `${content.title} > ${section.name}\n${spanOf(section)} probe`;
    const near = await reader.search({ text, mode: 'dense', k: 10 });
    if (
      !near.some(
        (hit) => pairOf(hit) === pairOf({ documentId: reader.idOf(name), text: spanOf(section) }),
      )
    )
      found.push({ kind: 'miss', path: 'ann', detail: `${what}: not among the nearest` });
    for (const hit of near)
      if (!everywhere.has(pairOf(hit)))
        found.push({ kind: 'stale', path: 'ann', detail: `${what}: met ${hit.text.slice(0, 80)}` });
    if (at === 0) await checkFilter(look, { name, content, word }, found);
  });
}

/** Readers with fewer rights, and a filter that nothing passes. */
async function checkFilter(
  look: Look,
  { name, word }: { name: string; content: Content; word: string },
  found: Finding[],
): Promise<void> {
  const { reader, model } = look;
  const expected = model.expected();
  const byId = new Map([...expected].map(([each_, content]) => [reader.idOf(each_), content]));
  for (const group of groups) {
    const onBehalfOf = { subject: 'probe', groups: [group] };
    const hits = await reader.search({ text: word, mode: 'lexical', k: 20, onBehalfOf });
    const wanted = holdersOf(look, word).filter(({ documentId }) =>
      byId.get(documentId)?.acl.includes(`group:${group}`),
    );
    compareHits({ path: 'filter', what: `${name} as ${group}`, found }, hits, wanted);
  }
  const none = await reader.search({ text: word, mode: 'lexical', k: 20, filter: { page: 7 } });
  if (none.length > 0) found.push({ kind: 'stale', path: 'filter', detail: `${name}: page 7` });
}

/** What is gone is found by nobody. */
async function checkFormer(look: Look, found: Finding[]): Promise<void> {
  await each(look.formerBodies, async (body) => {
    const word = wordOf(body);
    const hits = await look.reader.search({ text: word, mode: 'lexical', k: 20 });
    compareHits({ path: 'lexical', what: `former “${word}”`, found }, hits, holdersOf(look, word));
  });
}

/** A citation is valid as long as its document stands at the cited revision; one of a deleted document never is. */
async function checkCitations({ reader, model, cited }: Look, found: Finding[]): Promise<void> {
  const expected = new Map(
    [...model.expected()].map(([name, content]) => [reader.idOf(name), content]),
  );
  const pairs = [...cited];
  const verdicts = await reader.verify(pairs.map(([, citation]) => citation));
  for (const [at, [pair, { documentId }]] of pairs.entries()) {
    const verdict = verdicts[at] ?? 'NONE';
    const isThere = expected
      .get(documentId)
      ?.sections.some((section) => pair === pairOf({ documentId, text: spanOf(section) }));
    const detail = `${pair.slice(0, 120)} is ${verdict}`;
    if (verdict === 'VALID' && isThere !== true)
      found.push({ kind: 'stale', path: 'citation', detail });
    if (verdict === 'MISMATCH' && isThere === true)
      found.push({ kind: 'miss', path: 'citation', detail });
    if (verdict !== 'VALID') cited.delete(pair);
  }
}

/** Everything has arrived: every way of reading shows exactly what the sources hold. */
export async function checkSettled(look: Look): Promise<Finding[]> {
  const found: Finding[] = [];
  await checkById(look, found);
  await checkStore(look, found);
  await checkSearch(look, found);
  await checkFormer(look, found);
  await checkCitations(look, found);
  return found;
}
