import { fnv1a32, hash384, hash384Into } from '../../src/domain/etl/hash-384.js';
import { porterStem } from '../../src/domain/etl/porter-stem.js';
import { tokens, tokensOrStopWords, words } from '../../src/domain/etl/tokens.js';

const entries = (vector: Float32Array | undefined) =>
  [...(vector ?? [])].flatMap((value, index) => (value === 0 ? [] : [[index, value]]));

describe('hash-384 v1', () => {
  it('keeps its golden vector: "durable workflows" is 0.7071 at 61 and 296', () => {
    expect(entries(hash384('durable workflows'))).toEqual([
      [61, Math.fround(Math.SQRT1_2)],
      [296, Math.fround(Math.SQRT1_2)],
    ]);
    expect(entries(hash384('The DURABLE, workflow!'))).toEqual(
      entries(hash384('durable workflows')),
    );
  });

  it('weighs a term by 1 + ln tf and has length 1', () => {
    const vector = hash384('workflow workflows workflow durable') ?? new Float32Array(384);
    const [durable, workflow] = [vector[61] ?? 0, vector[296] ?? 0].sort((a, b) => a - b);
    expect((workflow ?? 0) / (durable ?? 1)).toBeCloseTo(1 + Math.log(3), 6);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
  });

  it('embeds stop words where nothing else is there, and answers undefined for a text without words', () => {
    expect(entries(hash384('to be or not to be'))).not.toHaveLength(0);
    expect(hash384(' … -- ')).toBeUndefined();
    const out = new Float32Array(384).fill(7);
    expect(hash384Into('', out, 0)).toBe(false);
    expect(new Set(out)).toEqual(new Set([7]));
  });

  it('gives the same vector with a cold, a warm and a bypassed cache', () => {
    const text = 'Retrieval of vectors retrieves vectored retrievals, naïve 東京 𝒳y';
    const first = entries(hash384(text));
    // One word too long for the cache sends the text through the plain path.
    const long = 'x'.repeat(200);
    const plain = hash384(`${text} ${long}`) ?? new Float32Array(384);
    const other = fnv1a32(porterStem(long));
    const at = (other & 0x7fffffff) % 384;
    const scale = Math.sqrt(1 - (plain[at] ?? 0) ** 2);
    for (const [index, value] of first)
      if (index !== at) expect((plain[index ?? 0] ?? 0) / scale).toBeCloseTo(value ?? 0, 5);
    for (let i = 0; i < 120_000; i += 50)
      hash384(Array.from({ length: 50 }, (_, j) => `w${i + j}`).join(' '));
    expect(entries(hash384(text))).toEqual(first);
  });

  it('embeds thousands of texts of 800 characters a second in one thread', () => {
    const vocabulary = Array.from(
      { length: 20_000 },
      (_, i) => `${i.toString(36)}${'tion'.slice(i % 4)}`,
    );
    const texts = Array.from({ length: 10_000 }, (_, i) => {
      let text = '';
      for (let j = 0; text.length < 800; j++)
        text += `${vocabulary[Math.floor(20_000 ** (((i * 7919 + j * 104_729) % 10_007) / 10_007)) - 1]} `;
      return text.slice(0, 800);
    });
    const out = new Float32Array(384);
    const rate = () => {
      const since = performance.now();
      for (const text of texts) hash384Into(text, out, 0);
      return Math.round((texts.length / (performance.now() - since)) * 1000);
    };
    const best = Math.max(rate(), rate(), rate());
    process.stdout.write(`hash-384: ${best} texts of 800 characters/s\n`);
    // The target is 10,000; half of it, because the machine runs other tests beside this one.
    expect(best).toBeGreaterThan(5_000);
  });
});

describe('FNV-1a 32', () => {
  it('has the published values, over UTF-8 bytes', () => {
    expect(fnv1a32('')).toBe(0x811c9dc5);
    expect(fnv1a32('a')).toBe(0xe40c292c);
    expect(fnv1a32('foobar')).toBe(0xbf9cf968);
    for (const text of ['naïve', '東京', '𝒳🦀', '\ud800']) {
      let hash = 0x811c9dc5;
      for (const byte of Buffer.from(text, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193);
      expect(fnv1a32(text)).toBe(hash >>> 0);
    }
  });
});

describe('the tokeniser', () => {
  it('splits at everything but letters and numbers, also outside the basic plane', () => {
    const text = 'İstanbul x_y IL-2 ½ ÄÖ 𝒳𝓎 🦀东京٣ e\u0301a';
    expect(words(text)).toEqual(text.toLowerCase().match(/[\p{L}\p{N}]+/gu));
  });

  it('drops stop words before it stems', () => {
    expect(tokens('These are the durable workflows')).toEqual(['durabl', 'workflow']);
    expect(tokens('to be')).toEqual([]);
    expect(tokensOrStopWords('to be')).toEqual(['to', 'be']);
  });
});

describe('the stemmer', () => {
  // Pairs of Porter (1980) by step, run through all steps, and of the vocabulary its author publishes.
  const golden =
    'caresses caress ponies poni ties ti caress caress cats cat feed feed agreed agre plastered plaster bled bled ' +
    'motoring motor sing sing conflated conflat troubled troubl sized size hopping hop tanned tan falling fall ' +
    'hissing hiss fizzed fizz failing fail filing file happy happi sky sky relational relat conditional condit ' +
    'rational ration valenci valenc hesitanci hesit digitizer digit conformabli conform radicalli radic ' +
    'differentli differ vileli vile analogousli analog vietnamization vietnam predication predic operator oper ' +
    'feudalism feudal decisiveness decis hopefulness hope callousness callous formaliti formal sensitiviti sensit ' +
    'sensibiliti sensibl triplicate triplic formative form formalize formal electriciti electr electrical electr ' +
    'hopeful hope goodness good revival reviv allowance allow inference infer airliner airlin gyroscopic gyroscop ' +
    'adjustable adjust defensible defens irritant irrit replacement replac adjustment adjust dependent depend ' +
    'adoption adopt homologou homolog communism commun activate activ angulariti angular homologous homolog ' +
    'effective effect bowdlerize bowdler probate probat rate rate cease ceas controll control roll roll ' +
    'generalizations gener oscillators oscil archaeology archaeolog is is as as say sai enjoy enjoi by by';

  it('keeps the golden stems', () => {
    const list = golden.split(' ');
    const pairs = list.flatMap((word, at) => (at % 2 === 0 ? [[word, list[at + 1]]] : []));
    expect(pairs.map(([word]) => [word, porterStem(word ?? '')])).toEqual(pairs);
  });

  it('leaves digits and other scripts alone', () => {
    expect(['2', 'il2', '東京', 'привет', 'h2o'].map(porterStem)).toEqual([
      '2',
      'il2',
      '東京',
      'привет',
      'h2o',
    ]);
  });
});
