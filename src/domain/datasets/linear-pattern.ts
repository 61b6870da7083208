/** Inclusive ranges of code points. */
type CharSet = readonly (readonly [number, number])[];

type Node =
  | { kind: 'chars'; set: CharSet }
  | { kind: 'sequence'; items: Node[] }
  | { kind: 'choice'; items: Node[] }
  | { kind: 'repeat'; item: Node; min: number; max: number };

/** A pattern that is refused, with the reason for the person who wrote it. */
class PatternRefused extends Error {}

const LAST = 0x10ffff;
const MAX_POSITIONS = 400;
const MAX_EDGES = 20_000;
const DIGITS: CharSet = [[48, 57]];
const WORD: CharSet = [
  [48, 57],
  [65, 90],
  [95, 95],
  [97, 122],
];
const SPACE: CharSet = [
  [9, 13],
  [32, 32],
  [160, 160],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const LINE_ENDS: CharSet = [
  [10, 10],
  [13, 13],
  [0x2028, 0x2029],
];
const CONTROL_ESCAPES: Record<string, number> = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 };

const normalise = (set: CharSet): CharSet => {
  const sorted = [...set].sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = merged.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
};

const complement = (set: CharSet): CharSet => {
  const gaps: [number, number][] = [];
  let next = 0;
  for (const [from, to] of normalise(set)) {
    if (from > next) gaps.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= LAST) gaps.push([next, LAST]);
  return gaps;
};

const overlap = (a: CharSet, b: CharSet): boolean =>
  a.some(([from, to]) => b.some(([start, end]) => from <= end && start <= to));

/** Reads the regular subset of the syntax; everything else is refused by name. */
class PatternReader {
  private readonly points: string[];
  private at = 0;
  constructor(pattern: string) {
    this.points = [...pattern];
  }

  read(): Node {
    if (this.peek() === '^') this.at++;
    const node = this.choice();
    if (this.at < this.points.length) throw new PatternRefused('an unmatched bracket');
    return node;
  }

  private peek(): string | undefined {
    return this.points[this.at];
  }

  private take(): string {
    const point = this.points[this.at++];
    if (point === undefined) throw new PatternRefused('it ends too early');
    return point;
  }

  private choice(): Node {
    const items = [this.sequence()];
    while (this.peek() === '|') {
      this.at++;
      items.push(this.sequence());
    }
    return items.length === 1 && items[0] ? items[0] : { kind: 'choice', items };
  }

  private sequence(): Node {
    const items: Node[] = [];
    for (;;) {
      const next = this.peek();
      if (next === undefined || next === '|' || next === ')') break;
      if (next === '$') {
        if (this.at !== this.points.length - 1) throw new PatternRefused('$ inside the pattern');
        this.at++;
        break;
      }
      items.push(this.quantified(this.atom()));
    }
    return { kind: 'sequence', items };
  }

  private atom(): Node {
    const point = this.take();
    if (point === '(') return this.group();
    if (point === '[') return { kind: 'chars', set: this.characterClass() };
    if (point === '.') return { kind: 'chars', set: complement(LINE_ENDS) };
    if (point === '^') throw new PatternRefused('^ inside the pattern');
    if (point === '\\') return { kind: 'chars', set: this.escape(false) };
    const code = point.codePointAt(0) ?? 0;
    return { kind: 'chars', set: [[code, code]] };
  }

  private group(): Node {
    if (this.peek() === '?') {
      this.at++;
      if (this.take() !== ':') throw new PatternRefused('look-around and named groups');
    }
    const inner = this.choice();
    if (this.take() !== ')') throw new PatternRefused('an unmatched bracket');
    return inner;
  }

  private quantified(item: Node): Node {
    const point = this.peek();
    let bounds: [number, number] | undefined;
    if (point === '*') bounds = [0, Infinity];
    else if (point === '+') bounds = [1, Infinity];
    else if (point === '?') bounds = [0, 1];
    else if (point === '{') bounds = this.counted();
    if (!bounds) return item;
    if (point !== '{') this.at++;
    if (this.peek() === '?') this.at++;
    return { kind: 'repeat', item, min: bounds[0], max: bounds[1] };
  }

  private counted(): [number, number] {
    const rest = this.points.slice(this.at, this.at + 16).join('');
    const match = /^\{(\d{1,5})(?:(,)(\d{1,5})?)?\}/.exec(rest);
    if (!match?.[1]) throw new PatternRefused('a repeat count');
    this.at += match[0].length;
    const min = Number(match[1]);
    return [min, match[3] !== undefined ? Number(match[3]) : match[2] ? Infinity : min];
  }

  private escape(inClass: boolean): CharSet {
    const point = this.take();
    const classes: Record<string, CharSet> = { d: DIGITS, w: WORD, s: SPACE };
    const lower = point.toLowerCase();
    const known = classes[lower];
    if (known) return point === lower ? known : complement(known);
    if (point === 'x' || point === 'u') return this.hex(point === 'x' ? 2 : 4);
    const control = CONTROL_ESCAPES[point];
    if (control !== undefined) return [[control, control]];
    if (/[\d]/.test(point) || point === 'k') throw new PatternRefused('back-references');
    if (/[a-zA-Z]/.test(point)) throw new PatternRefused(`the escape \\${point}`);
    if (inClass || !/\s/.test(point)) {
      const code = point.codePointAt(0) ?? 0;
      return [[code, code]];
    }
    throw new PatternRefused('an escaped space');
  }

  private hex(digits: number): CharSet {
    const text = this.points.slice(this.at, this.at + digits).join('');
    if (!/^[0-9a-fA-F]+$/.test(text) || text.length !== digits)
      throw new PatternRefused('this form of a hexadecimal escape');
    this.at += digits;
    const code = Number.parseInt(text, 16);
    return [[code, code]];
  }

  private characterClass(): CharSet {
    const negated = this.peek() === '^';
    if (negated) this.at++;
    const set: (readonly [number, number])[] = [];
    while (this.peek() !== ']') {
      const from = this.classMember();
      const first = from[0];
      const isRange = this.peek() === '-' && this.points[this.at + 1] !== ']';
      if (!isRange || from.length !== 1 || !first || first[0] !== first[1]) {
        set.push(...from);
        continue;
      }
      this.at++;
      const to = this.classMember();
      const last = to[0];
      if (to.length !== 1 || !last || last[0] !== last[1])
        throw new PatternRefused('a class as the end of a range');
      set.push([first[0], last[0]]);
    }
    this.at++;
    return negated ? complement(set) : normalise(set);
  }

  private classMember(): CharSet {
    const point = this.take();
    if (point === '\\') return this.escape(true);
    const code = point.codePointAt(0) ?? 0;
    return [[code, code]];
  }
}

interface Part {
  nullable: boolean;
  first: number[];
  last: number[];
}

/** Position automaton (Glushkov 1961) of a pattern; refuses as soon as two ways to read one text exist. */
class PositionAutomaton {
  private readonly sets: CharSet[] = [];
  private readonly follow: Set<number>[] = [];
  private edges = 0;

  check(node: Node): void {
    const whole = this.build(node);
    this.distinct(whole.first);
    for (const next of this.follow) this.distinct([...next]);
  }

  private distinct(positions: number[]): void {
    for (const [i, a] of positions.entries()) {
      for (const b of positions.slice(i + 1)) {
        if (overlap(this.sets[a] ?? [], this.sets[b] ?? []))
          throw new PatternRefused('one text can be read in two ways');
      }
    }
  }

  private connect(from: number[], to: number[]): void {
    for (const p of from) {
      for (const q of to) {
        const next = this.follow[p];
        if (!next || next.has(q)) throw new PatternRefused('one text can be read in two ways');
        next.add(q);
        if (++this.edges > MAX_EDGES) throw new PatternRefused('it is too large');
      }
    }
  }

  private build(node: Node): Part {
    switch (node.kind) {
      case 'chars': {
        const position = this.sets.push(node.set) - 1;
        this.follow.push(new Set());
        if (position >= MAX_POSITIONS) throw new PatternRefused('it is too large');
        return { nullable: false, first: [position], last: [position] };
      }
      case 'sequence':
        return node.items.reduce<Part>((left, item) => this.join(left, this.build(item)), {
          nullable: true,
          first: [],
          last: [],
        });
      case 'choice': {
        const parts = node.items.map((item) => this.build(item));
        if (parts.filter((part) => part.nullable).length > 1)
          throw new PatternRefused('two alternatives match the empty text');
        return {
          nullable: parts.some((part) => part.nullable),
          first: parts.flatMap((part) => part.first),
          last: parts.flatMap((part) => part.last),
        };
      }
      case 'repeat':
        return this.repeat(node.item, node.min, node.max);
    }
  }

  private join(left: Part, right: Part): Part {
    this.connect(left.last, right.first);
    return {
      nullable: left.nullable && right.nullable,
      first: left.nullable ? [...left.first, ...right.first] : left.first,
      last: right.nullable ? [...left.last, ...right.last] : right.last,
    };
  }

  private once(item: Node): Part {
    const part = this.build(item);
    if (part.nullable) throw new PatternRefused('a repeated part matches the empty text');
    return part;
  }

  private repeat(item: Node, min: number, max: number): Part {
    if (max < min) throw new PatternRefused('a repeat count');
    let whole: Part = { nullable: true, first: [], last: [] };
    const fixed = max === Infinity ? Math.max(0, min - 1) : min;
    for (let i = 0; i < fixed; i++) whole = this.join(whole, this.once(item));
    if (max === Infinity) {
      const loop = this.once(item);
      this.connect(loop.last, loop.first);
      return this.join(whole, { ...loop, nullable: min === 0 });
    }
    let tail: Part = { nullable: true, first: [], last: [] };
    for (let i = 0; i < max - fixed; i++)
      tail = { ...this.join(this.once(item), tail), nullable: true };
    return this.join(whole, tail);
  }
}

/**
 * Says why a pattern is refused, or undefined if it is accepted. Accepted are patterns whose position automaton
 * (Glushkov, 1961) is deterministic and free of a second path to the same position: then at most one way to read a
 * text exists, so a backtracking engine never has to try another and matching is linear in the text. Refused with it:
 * look-around, back-references, `^` and `$` inside, and more than 400 positions after counted repeats are unrolled.
 */
export function whyPatternIsRefused(pattern: string): string | undefined {
  try {
    new RegExp(pattern, 'u');
  } catch {
    return 'not a valid regular expression';
  }
  try {
    new PositionAutomaton().check(new PatternReader(pattern).read());
    return undefined;
  } catch (error) {
    if (error instanceof PatternRefused)
      return `may backtrack or is not supported: ${error.message}`;
    throw error;
  }
}

/** Compiles an accepted pattern so that it must match the whole text, with or without `^` and `$` in it. */
export function compilePattern(pattern: string): RegExp {
  const body = pattern.replace(/^\^/, '').replace(/(?<!\\)((?:\\\\)*)\$$/, '$1');
  return new RegExp(`^(?:${body})$`, 'u');
}
