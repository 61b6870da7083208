import fc from 'fast-check';
import { digestOf } from '../../src/domain/digest.js';
import {
  defaultPiiPolicy,
  piiPolicyIdentity,
  piiPolicySchema,
} from '../../src/domain/pii/contract.js';
import { hasResidualPii } from '../../src/domain/pii/find-pii.js';
import { createPseudonym } from '../../src/domain/pii/pseudonym.js';
import { scrubText } from '../../src/domain/pii/scrub-text.js';

const pseudonym = createPseudonym(new Uint8Array(32).fill(7));
const options = { policy: defaultPiiPolicy, pseudonym };
const scrub = (text: string): string => scrubText(text, options).text;

describe('scrubbing', () => {
  it('puts keyed pseudonyms in place of findings, counts them, and keeps the rest', () => {
    const text = '😀 ann@example.com paid with 4111 1111 1111 1111; ANN@example.com again.';
    const result = scrubText(text, options);
    expect(result.text).toMatch(
      /^😀 EMAIL_[a-z2-7]{10} paid with CARD_[a-z2-7]{10}; EMAIL_[a-z2-7]{10} again\.$/,
    );
    expect(result.findings).toEqual({ EMAIL: 2, CARD: 1 });
    expect(result.spans.map(({ start, end }) => text.slice(start, end))).toEqual([
      'ann@example.com',
      '4111 1111 1111 1111',
      'ANN@example.com',
    ]);
    const tokens = result.spans.map((span) =>
      result.text.slice(span.scrubbedStart, span.scrubbedEnd),
    );
    expect(tokens[0]).toBe(tokens[2]);
    expect(tokens[1]).toMatch(/^CARD_/);
  });

  it.each([
    ['ann@Example.com', 'ANN@example.COM'],
    ['4111111111111111', '4111-1111-1111-1111'],
    ['de89370400440532013000', 'DE89 3704 0044 0532 0130 00'],
    ['+46 (0)8 928 571 38', '0046 8 928 571 38'],
    ['+1-903-240-4508', '(903) 240-4508'],
    ['2001:db8::0001', '2001:0DB8:0:0:0:0:0:1'],
  ])('gives %j and %j one pseudonym', (a, b) => {
    expect(scrub(`ip ${a}`)).toMatch(/^ip [A-Z]+_[a-z2-7]{10}$/);
    expect(scrub(`ip ${a}`)).toBe(scrub(`ip ${b}`));
  });

  it('gives other tenants other pseudonyms', () => {
    const other = createPseudonym(new Uint8Array(32).fill(8));
    expect(other('EMAIL', 'ann@example.com')).not.toBe(pseudonym('EMAIL', 'ann@example.com'));
  });

  it('masks where the policy says so', () => {
    const policy = piiPolicySchema.parse({ version: 'm', actions: { EMAIL: 'mask' } });
    expect(scrubText('ann@example.com', { policy, pseudonym }).text).toBe('[EMAIL]');
  });

  const pieces = [
    'ann@example.com',
    '4111 1111 1111 1111',
    ' 555-123-4567',
    '078-05-1120',
    'phone',
    ' ',
    '-',
    '_',
    '+',
    '(',
    ') ',
    '.',
    '/',
    ':',
    '@',
    '00',
    '1',
    '212',
    '4567',
    '86.121.97.248',
    'https://a:b@c.example/',
    'EMAIL_aaaaaaaaaa',
    'password=',
    'x1y2z3w4',
    'DE89370400440532013000',
    '943 476 5919',
    'sk-',
    'abcdefghijklmnop12345678',
    '::',
    'fe80',
    'é',
    '😀',
    '\n',
    'fax 467 3395',
    'ext',
  ];

  it('changes nothing the second time, for every text', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 24 }), (parts) => {
        const once = scrub(parts.join(''));
        expect(scrub(once)).toBe(once);
        expect(hasResidualPii(once, defaultPiiPolicy)).toBe(false);
      }),
      { numRuns: 3000 },
    );
  });

  it('leaves residual data to be noticed where a validated value came back', () => {
    expect(hasResidualPii('EMAIL_aaaaaaaaaa wrote', defaultPiiPolicy)).toBe(false);
    expect(hasResidualPii('EMAIL_aaaaaaaaaa wrote to b@example.org', defaultPiiPolicy)).toBe(true);
    expect(hasResidualPii('call 467 3395', defaultPiiPolicy)).toBe(false);
  });
});

describe('policy', () => {
  const digest = (body: object): string =>
    digestOf('pii-policy', piiPolicyIdentity(piiPolicySchema.parse({ version: 'v', ...body })));

  it('has one identity however its defaults are written, and another for every change', () => {
    expect(digest({ actions: { EMAIL: 'pseudonymise' }, minScore: 0.5 })).toBe(digest({}));
    expect(digest({ defaultAction: 'mask' })).not.toBe(digest({}));
    expect(digest({ version: 'w' })).not.toBe(digest({}));
    expect(digest({ patterns: [{ name: 'AB', pattern: 'x\\d' }] })).not.toBe(digest({}));
  });

  it.each([
    [{ patterns: [{ name: 'AB', pattern: '(a+)+' }] }],
    [{ patterns: [{ name: 'AB', pattern: 'a*' }] }],
    [{ patterns: [{ name: 'EMAIL', pattern: 'a' }] }],
    [
      {
        patterns: [
          { name: 'AB', pattern: 'a' },
          { name: 'AB', pattern: 'b' },
        ],
      },
    ],
    [{ actions: { EMAIL: 'shred' } }],
    [{ minScore: 2 }],
  ])('refuses %j', (body) => {
    expect(piiPolicySchema.safeParse({ version: 'v', ...body }).success).toBe(false);
  });
});
