import { createHash } from 'node:crypto';

// The oracle: what a source holds, and what every way of reading has to show because of that. It knows nothing of
// ledgers, intents or stores; it is told what the driver does to the sources and works out the rest by itself.

export const sourceNames = ['folder', 'upload', 'webhook'] as const;
export type SourceName = (typeof sourceNames)[number];

/** Tells the source of truth at once what happened; a folder is found out about. */
const isPush = (source: SourceName): boolean => source !== 'folder';

export interface Section {
  name: string;
  body: string;
}

/** A document as its source has it. */
export interface Content {
  title: string;
  sections: Section[];
  /** Sorted. */
  acl: string[];
}

/** A document of a source: where it is, and what is there; null: nothing. */
export interface Change {
  source: SourceName;
  key: string;
  content: Content | null;
}

/** A line of the driver's log. */
export type LogLine = Change & { n: number; phase: 'try' | 'done' };

export const nameOf = ({ source, key }: Pick<Change, 'source' | 'key'>): string =>
  `${source}/${key}`;

/** The span that a section is cited by. */
export const spanOf = ({ name, body }: Section): string => `## ${name}\n\n${body}`;

/** What is embedded for a section: title and heading, then the span. */
const embedTextOf = (title: string, section: Section): string =>
  `${title} > ${section.name}\n${spanOf(section)}`;

/** The provider's name for a text. */
export const textDigest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Digests of what has to be embedded for a document. */
export const embedDigests = ({ title, sections }: Content): string[] =>
  sections.map((section) => textDigest(embedTextOf(title, section)));

/** Equal where readers cannot tell them apart. */
export const sameContent = (a: Content | null, b: Content | null): boolean =>
  JSON.stringify(a) === JSON.stringify(b);

interface Held {
  /** States since the last settlement, oldest first; the last one is the source's. */
  states: (Content | null)[];
  /** How many of them the API has acknowledged, for sources that tell at once. */
  acknowledged: number;
}

/** What may be served while changes are on their way. */
export interface Allowed {
  states: (Content | null)[];
  /** Place of the newest state that was acknowledged: what it hides and whom it shuts out holds from then on. */
  from: number;
}

/** The state of all sources by what was done to them. */
export class SourceModel {
  readonly #held = new Map<string, Held>();
  readonly #texts = new Set<string>();

  /** Takes in a line of the log. */
  read({ phase, content, ...of }: LogLine): void {
    const name = nameOf(of);
    const held = this.#held.get(name) ?? { states: [null], acknowledged: 1 };
    this.#held.set(name, held);
    if (phase === 'try') {
      held.states.push(content);
      if (content !== null) for (const digest of embedDigests(content)) this.#texts.add(digest);
    } else if (isPush(of.source)) {
      held.acknowledged = held.states.length;
    }
  }

  /** Everything that was done has arrived: only the newest state of each document is right from now on. */
  settle(): void {
    for (const held of this.#held.values()) {
      held.states = held.states.slice(-1);
      held.acknowledged = 1;
    }
  }

  names(): string[] {
    return [...this.#held.keys()];
  }

  /** The documents that the sources hold. */
  expected(): Map<string, Content> {
    const found = new Map<string, Content>();
    for (const [name, { states }] of this.#held) {
      const last = states.at(-1) ?? null;
      if (last !== null) found.set(name, last);
    }
    return found;
  }

  allowed(name: string): Allowed {
    const { states, acknowledged } = this.#held.get(name) ?? { states: [null], acknowledged: 1 };
    return { states, from: acknowledged - 1 };
  }

  /** Whether this text was ever in a source: nobody pays for another one. */
  knows(digest: string): boolean {
    return this.#texts.has(digest);
  }
}

/** What a document shows of itself: its spans in order and who may read it. */
export interface Shown {
  spans: string[];
  acl: string[];
}

/** Where what is shown differs from a state; undefined: nowhere. */
export function differenceOf(shown: Shown | null, state: Content | null): string | undefined {
  if (shown === null || state === null) {
    if (shown === state) return undefined;
    return shown === null ? 'is missing' : 'is there and should not be';
  }
  const wanted = state.sections.map(spanOf);
  if (JSON.stringify(shown.spans) !== JSON.stringify(wanted)) {
    const missing = wanted.filter((span) => !shown.spans.includes(span)).length;
    const foreign = shown.spans.filter((span) => !wanted.includes(span)).length;
    return `shows ${shown.spans.length} spans for ${wanted.length}: ${missing} missing, ${foreign} of another state`;
  }
  const acl = [...shown.acl].sort();
  if (JSON.stringify(acl) !== JSON.stringify(state.acl))
    return `may be read by ${acl.join(' ')} and should be by ${state.acl.join(' ')}`;
  return undefined;
}
