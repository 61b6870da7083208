import type { Random } from '../../../src/domain/evaluation/random.js';
import { sourceNames, type Change, type Content, type Section } from './source-model.js';

// Edits as people make them, from a seed: paragraphs, access lists, renames, deletions, returns to an earlier text.

/** In every list, so that the harness may read everything itself. */
export const everyReader = 'group:data-steward';
export const groups = ['red', 'blue'] as const;

const letters = 'abcdefghijklmnoprstuvwxyz';
const fillers = (
  'anchor basin cargo delta ember fabric garden harbour island jacket kettle ladder marble needle orchard pillow ' +
  'quarry ribbon saddle timber umbrella valley window yellow zephyr bridge candle dinner engine forest'
).split(' ');

const pickOf = <T>(random: Random, of: readonly T[]): T => of[random.below(of.length)] as T;

/** A word that occurs nowhere else. */
const newWord = (random: Random): string =>
  `zq${Array.from({ length: 11 }, () => pickOf(random, [...letters])).join('')}`;

const newBody = (random: Random, title: string): string => {
  const words = Array.from({ length: 10 }, () => pickOf(random, fillers));
  return `The ${title} says ${newWord(random)} about ${words.join(' ')}.`;
};

const newSection = (random: Random, title: string): Section => ({
  name: `part ${newWord(random)}`,
  body: newBody(random, title),
});

const newAcl = (random: Random): string[] => {
  const chosen = groups.filter(() => random.below(2) === 0);
  return [everyReader, ...chosen.map((group) => `group:${group}`)].sort();
};

const newContent = (random: Random): Content => {
  const title = `paper ${newWord(random)}`;
  const count = 2 + random.below(3);
  return {
    title,
    sections: Array.from({ length: count }, () => newSection(random, title)),
    acl: newAcl(random),
  };
};

/** A document that is somewhere. */
export type Held = Change & { content: Content };

/** A new document, in one of these sources. */
export function newDocument(
  random: Random,
  sources: readonly (typeof sourceNames)[number][] = sourceNames,
): Held {
  const source = pickOf(random, sources);
  return { source, key: `${newWord(random)}.md`, content: newContent(random) };
}

const without = <T>(of: readonly T[], at: number): T[] => of.filter((_, index) => index !== at);

const editSections = (random: Random, { title, sections, acl }: Content): Content => {
  const at = random.below(sections.length);
  const section = sections[at] as Section;
  const draw = random.below(10);
  if (draw < 6)
    return {
      title,
      acl,
      sections: sections.with(at, { ...section, body: newBody(random, title) }),
    };
  if (draw < 8) return { title, acl, sections: [...sections, newSection(random, title)] };
  if (draw < 9 && sections.length > 1) return { title, acl, sections: without(sections, at) };
  // Equal paragraphs are told apart by their place among each other.
  return { title, acl, sections: sections.toSpliced(at, 0, section) };
};

/** The same document with one paragraph that is said nowhere else. */
export function newParagraph(random: Random, { source, key, content }: Held): Change {
  const at = random.below(content.sections.length);
  const section = { ...(content.sections[at] as Section), body: newBody(random, content.title) };
  return { source, key, content: { ...content, sections: content.sections.with(at, section) } };
}

/** The same document and a section more: everything that it said, it still says. */
export function moreText(random: Random, { source, key, content }: Held): Change {
  const { title, sections } = content;
  return {
    source,
    key,
    content: { ...content, sections: [...sections, newSection(random, title)] },
  };
}

/** The same text for other readers. */
export function newAccess(random: Random, { source, key, content }: Held): Change {
  for (;;) {
    const acl = newAcl(random);
    if (acl.join(' ') !== content.acl.join(' '))
      return { source, key, content: { ...content, acl } };
  }
}

/** One edit of one document: one change, or two where it moves. */
export function editDocument(random: Random, of: Held, earlier: readonly Content[]): Change[] {
  const { source, key, content } = of;
  const draw = random.below(20);
  const former = earlier.at(-1);
  if (draw < 9) return [{ source, key, content: editSections(random, content) }];
  if (draw < 13 && former !== undefined) return [{ source, key, content: former }];
  if (draw < 16) return [{ source, key, content: { ...content, acl: newAcl(random) } }];
  if (draw < 17) return [{ source, key, content }];
  if (draw < 18 && source === 'folder')
    return [
      { source, key, content: null },
      { source, key: `${newWord(random)}.md`, content },
    ];
  if (draw < 19) return [{ source, key, content: null }];
  return [{ source, key, content: editSections(random, content) }];
}
