import { each, wordOf, type Look } from './check-settled.js';
import type { Finding } from './findings.js';
import { spanOf, type Content } from './source-model.js';

// While changes are on their way a document may stand at its old state or at a newer one, and at nothing between.

/**
 * What may have been shown: after a deletion or narrowing that was acknowledged before the look, no earlier state; and
 * whatever was begun until now.
 * @param from place of the newest state that was acknowledged before the look
 */
function showable(
  { model }: Look,
  name: string,
  from: number,
): { states: (Content | null)[]; readers: Set<string> } {
  const { states } = model.allowed(name);
  const later = states.slice(from);
  // What was deleted and acknowledged is hidden; narrowed access holds whatever the text is.
  const texts = states[from] === null && from > 0 ? later : states;
  return { states: texts, readers: new Set(later.flatMap((state) => state?.acl ?? [])) };
}

const spansOf = (state: Content | null): string[] => state?.sections.map(spanOf) ?? [];

/** One document by its id and by its words. Answers undefined where it moved meanwhile. */
async function lookAt(look: Look, name: string): Promise<Finding[] | undefined> {
  const { reader, model } = look;
  const { from } = model.allowed(name);
  const shown = await reader.byId(name);
  look.refresh();
  const { states, readers } = showable(look, name, from);
  const found: Finding[] = [];
  const spans = 'absent' in shown ? [] : shown.spans;
  const fits = states.some((state) => JSON.stringify(spansOf(state)) === JSON.stringify(spans));
  if (!fits) {
    const kind = spans.length === 0 ? 'miss' : 'stale';
    found.push({ kind, path: 'id', detail: `in flight: ${name} stands at no state of its source` });
  }
  const outsiders = 'absent' in shown ? [] : shown.acl.filter((reader_) => !readers.has(reader_));
  if (outsiders.length > 0)
    found.push({
      kind: 'access',
      path: 'id',
      detail: `in flight: ${name} is open to ${outsiders.join(' ')}`,
    });
  // Rows that no state changes stay in the store all the time.
  const all = model.allowed(name).states;
  const steady = spans.filter((span) => all.every((state) => spansOf(state).includes(span)));
  const id = reader.idOf(name);
  for (const span of new Set(steady)) {
    const hits = await reader.search({ text: wordOf(span), mode: 'lexical', k: 20 });
    const own = hits.filter(({ documentId }) => documentId === id);
    if (own.length === 0)
      found.push({
        kind: 'miss',
        path: 'lexical',
        detail: `in flight: ${name} has lost “${wordOf(span)}”`,
      });
    if (new Set(own.map(({ revision }) => revision)).size > 1)
      found.push({ kind: 'stale', path: 'lexical', detail: `in flight: ${name} at two revisions` });
  }
  if (found.length === 0) return found;
  const after = await reader.byId(name);
  return JSON.stringify(after) === JSON.stringify(shown) ? found : undefined;
}

/** Never delete first: the store holds all rows of the old state or all of a newer one, at every moment. */
async function checkCover(look: Look, found: Finding[]): Promise<void> {
  const { reader, model, names } = look;
  const texts = Map.groupBy(await reader.stored(), ({ docId }) => docId);
  look.refresh();
  for (const name of names) {
    const { states } = model.allowed(name);
    const own = (texts.get(reader.idOf(name)) ?? []).map(({ text }) => text);
    const isCovered = states.some((state) =>
      spansOf(state).every((span) => own.some((text) => text.endsWith(span))),
    );
    if (!isCovered)
      found.push({
        kind: 'miss',
        path: 'scan',
        detail: `in flight: ${name} has rows for no state of its source`,
      });
  }
}

/** Looks while a process is dead or at work; what moves during the look is looked at again. */
export async function checkInFlight(look: Look): Promise<Finding[]> {
  const found: Finding[] = [];
  await checkCover(look, found);
  await each(look.names, async (name) => {
    for (let tries = 0; tries < 4; tries++) {
      const seen = await lookAt(look, name);
      if (seen === undefined) continue;
      found.push(...seen);
      return;
    }
  });
  return found;
}
