import { isMap, isScalar, parseDocument, visit } from 'yaml';
import { isPrototypeKey } from '../../domain/prototype-key.js';
import { ParseRefusal } from './parse-refusal.js';
import type { Parsed } from './parse-text.js';

const OPENING = /^---[ \t]*\n/;
const CLOSING = /^(?:---|\.\.\.)[ \t]*$/m;
const MAX_UNITS = 65_536;
const MAX_KEYS = 200;
const MAX_DEPTH = 8;

const refuse = (detail: string): ParseRefusal => new ParseRefusal('parse_failed', { detail });

/** Nested values under dotted names; lists stay where they hold scalars only. */
function flatten(value: object, prefix: string, into: Record<string, unknown>): void {
  if (prefix.split('.').length > MAX_DEPTH) throw refuse('front_matter_depth');
  for (const [key, inner] of Object.entries(value) as [string, unknown][]) {
    const name = prefix === '' ? key : `${prefix}.${key}`;
    if (inner === null || inner === undefined) continue;
    const isScalarList =
      Array.isArray(inner) && inner.every((item) => typeof item !== 'object' || item === null);
    if (typeof inner === 'object' && !isScalarList) flatten(inner, name, into);
    else into[name] = inner;
    if (Object.keys(into).length > MAX_KEYS) throw refuse('front_matter_keys');
  }
}

/** A list of names. What it would grant is not guessed: any other value hides the document. */
function namesOf(field: string, value: unknown): string[] | undefined {
  if (value === undefined) return undefined;
  const names: unknown[] = Array.isArray(value) ? value : [value];
  if (names.every((name) => typeof name === 'string' && name.trim() !== ''))
    return names.map((name) => String(name).trim());
  throw new ParseRefusal('acl_unresolved', { detail: `front_matter_${field}` });
}

function readYaml(source: string): Record<string, unknown> {
  const document = parseDocument(source, { schema: 'core', prettyErrors: false });
  const [error] = document.errors;
  if (error) throw new ParseRefusal('parse_failed', { detail: 'front_matter', at: error.pos[0] });
  visit(document, {
    Alias: () => {
      throw refuse('front_matter_alias');
    },
    Pair: (_, pair) => {
      if (!isScalar(pair.key) || isPrototypeKey(String(pair.key.value)))
        throw refuse('front_matter_key');
    },
  });
  if (document.contents === null) return {};
  if (!isMap(document.contents)) throw refuse('front_matter');
  return document.toJS({ maxAliasCount: 0 }) as Record<string, unknown>;
}

/**
 * Front matter of a Markdown document, and where its body starts. `title` is the title, `acl` and `subjects` are what
 * the document declares, everything else is metadata. No aliases, no keys that reach a prototype.
 * @throws ParseRefusal parse_failed where it is not YAML: an access list in it could not be honoured
 */
export function readFrontMatter(text: string): Omit<Parsed, 'blocks'> & { bodyAt: number } {
  const opening = OPENING.exec(text)?.[0];
  if (opening === undefined) return { bodyAt: 0 };
  const head = text.slice(opening.length, opening.length + MAX_UNITS);
  const closing = CLOSING.exec(head);
  // A rule at the top of a page is no front matter.
  if (closing === null) return { bodyAt: 0 };
  const { title, acl, subjects, ...rest } = readYaml(head.slice(0, closing.index));
  const metadata: Record<string, unknown> = {};
  flatten(rest, '', metadata);
  return {
    bodyAt: opening.length + closing.index + closing[0].length,
    title: typeof title === 'string' ? title : undefined,
    metadata,
    declared: { acl: namesOf('acl', acl), subjects: namesOf('subjects', subjects) },
  };
}
