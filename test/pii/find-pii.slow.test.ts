import fc from 'fast-check';
import type { PiiPolicy } from '../../src/domain/pii/contract.js';
import { defaultPiiPolicy, piiPolicySchema } from '../../src/domain/pii/contract.js';
import { findPii, findPiiCounted } from '../../src/domain/pii/find-pii.js';

const found = (text: string, policy: PiiPolicy = defaultPiiPolicy): string[] =>
  findPii(text, policy).map(({ kind, start, end }) => `${kind} ${text.slice(start, end)}`);

describe('what is found', () => {
  it.each([
    ['Write to Ann.Lee+x@Mail.example.co.uk.', 'EMAIL Ann.Lee+x@Mail.example.co.uk'],
    ['_ann@example.com_ in italics', 'EMAIL ann@example.com'],
    ['邮箱ann@example.com。', 'EMAIL ann@example.com'],
    ['Visa 4111 1111 1111 1111, please', 'CARD 4111 1111 1111 1111'],
    ['amex 3782-822463-10005', 'CARD 3782-822463-10005'],
    ['full width ４１１１１１１１１１１１１１１１', 'CARD ４１１１１１１１１１１１１１１１'],
    ['to de89 3704 0044 0532 0130 00 today', 'IBAN de89 3704 0044 0532 0130 00'],
    ['GB82WEST12345698765432', 'IBAN GB82WEST12345698765432'],
    ['my number 078-05-1120.', 'SSN 078-05-1120'],
    ['SSN: 219099999', 'SSN 219099999'],
    ['NHS no. 943 476 5919', 'NHS 943 476 5919'],
    ['PESEL 44051401359', 'PESEL 44051401359'],
    ['Aadhaar 2341 2341 2346', 'AADHAAR 2341 2341 2346'],
    ['from 192.168.17.4:8080', 'IP 192.168.17.4'],
    ['host 2001:db8:0:1::8a2e.', 'IP 2001:db8:0:1::8a2e'],
    [
      'see https://bob:s3cret@db.example.com:5432/x?y',
      'URL_USERINFO https://bob:s3cret@db.example.com:5432',
    ],
    ['+44 (0)20 7946 0958 or so', 'PHONE +44 (0)20 7946 0958'],
    ['(212) 555-7788 x12', 'PHONE (212) 555-7788 x12'],
    ['joindre au 01.84.17.61.18', 'PHONE 01.84.17.61.18'],
    ['电话+8613812345678', 'PHONE +8613812345678'],
    ['call 467 3395 tonight', 'PHONE 467 3395'],
    ['aws AKIAIOSFODNN7EXAMPLE', 'SECRET AKIAIOSFODNN7EXAMPLE'],
    ['db_password = "hunter2-2024"', 'SECRET hunter2-2024'],
    ['Authorization: Bearer abcDEF123456789012345', 'SECRET abcDEF123456789012345'],
    [
      '-----BEGIN RSA PRIVATE KEY-----\nMIIabc+/=\n-----END RSA PRIVATE KEY-----\nrest',
      'SECRET -----BEGIN RSA PRIVATE KEY-----\nMIIabc+/=\n-----END RSA PRIVATE KEY-----',
    ],
  ])('in %j it is %j', (text, expected) => {
    expect(found(text)).toEqual([expected]);
  });

  it.each([
    'card 4111 1111 1111 1112 fails Luhn',
    'GB82WEST12345698765433 fails mod 97',
    'areas 000-12-3456, 666-12-3456 and 123-00-4567 were never given out',
    'version 1.2.3.4 and 999.1.1.1',
    'on 2004-04-16 at 11:34:35',
    'p = 0.4111111111111111',
    'id 550e8400-e29b-41d4-a716-446655440000',
    'compound PD-0332991 and 467 3395 more',
    'std::vector and a::b, 12:30:45',
    'git@ or @handle or a@b',
    'password: required',
    'between 1998-2004 we called',
  ])('in %j there is nothing', (text) => {
    expect(found(text)).toEqual([]);
  });

  it('moves the score by words nearby and by the name of the field', () => {
    expect(found('467 3395')).toEqual([]);
    expect(findPii('467 3395', defaultPiiPolicy, 'head_count')).toEqual([]);
    expect(findPii('467 3395', defaultPiiPolicy, 'Home_Phone')).toMatchObject([{ kind: 'PHONE' }]);
    const [bare] = findPii('4111111111111111', defaultPiiPolicy);
    const [near] = findPii('card 4111111111111111', defaultPiiPolicy);
    expect(bare?.validated).toBe(true);
    expect(near?.score).toBeGreaterThan(bare?.score ?? 1);
  });

  it('never leaves out a validated finding, whatever score is asked for', () => {
    const strict = piiPolicySchema.parse({ version: 's', minScore: 1 });
    expect(found('4111111111111111', strict)).toEqual(['CARD 4111111111111111']);
    expect(found('call 467 3395', strict)).toEqual([]);
  });

  it('gives an overlap to the validated, then to the longest finding', () => {
    expect(found('ftp://user:pass@host.example.com/')).toEqual([
      'URL_USERINFO ftp://user:pass@host.example.com',
    ]);
    const policy = piiPolicySchema.parse({
      version: 'o',
      patterns: [{ name: 'LONG', pattern: '\\d{16} X', score: 1 }],
    });
    expect(found('4111111111111111 X', policy)).toEqual(['CARD 4111111111111111']);
    expect(found('4111111111111112 X', policy)).toEqual(['LONG 4111111111111112 X']);
  });

  it('leaves an allowed kind in place and finds nothing else inside it', () => {
    const policy = piiPolicySchema.parse({ version: 'a', actions: { URL_USERINFO: 'allow' } });
    expect(found('ftp://user:pass@host.example.com/ and a@b.org', policy)).toEqual([
      'EMAIL a@b.org',
    ]);
  });

  it('finds patterns of the tenant as whole tokens', () => {
    const policy = piiPolicySchema.parse({
      version: 't',
      patterns: [{ name: 'STAFF_ID', pattern: 'EMP-\\d{5}', score: 0.3, context: ['staff'] }],
    });
    expect(found('staff EMP-12345', policy)).toEqual(['STAFF_ID EMP-12345']);
    expect(found('EMP-12345', policy)).toEqual([]);
    expect(found('staff EMP-123456 XEMP-12345', policy)).toEqual([]);
  });
});

const sample = fc.constantFrom(
  'ann@example.com',
  '4111 1111 1111 1111',
  'DE89370400440532013000',
  '078-05-1120',
  '+44 20 7946 0958',
  '86.121.97.248',
);

describe('for every text', () => {
  it('offsets hold between emoji, combining marks and lone surrogates', () => {
    const noise = fc
      .array(fc.constantFrom('😀', 'e\u0301', '👩‍👩‍👧', '\ud83d', 'नि', ' ', '。'))
      .map((all) => all.join(''));
    fc.assert(
      fc.property(noise, sample, noise, (before, value, after) => {
        const text = `${before} ${value} ${after}`;
        const spans = findPii(text, defaultPiiPolicy).map(({ start, end }) =>
          text.slice(start, end),
        );
        expect(spans).toEqual([value]);
      }),
    );
  });

  it('nothing is found inside a longer token', () => {
    const letters = fc.string({
      unit: fc.constantFrom('q', 'Z', 'é', 'ж', '\u0301', '7'),
      minLength: 1,
      maxLength: 4,
    });
    const number = fc.constantFrom(
      '4111111111111111',
      '078-05-1120',
      '86.121.97.248',
      '2125557788',
    );
    fc.assert(
      fc.property(letters, number, letters, (before, value, after) => {
        expect(found(`card phone ssn ip q${before}q${value}q${after}q`)).toEqual([]);
      }),
    );
  });

  it('findings are sorted, inside the text, and apart', () => {
    const piece = fc.oneof(
      sample,
      fc.string({ maxLength: 12 }),
      fc.constantFrom('phone ', '@', '1', ' - '),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        let last = 0;
        for (const { start, end, score } of findPii(text, defaultPiiPolicy)) {
          expect(start).toBeGreaterThanOrEqual(last);
          expect(end).toBeGreaterThan(start);
          expect(score).toBeLessThanOrEqual(1);
          last = end;
        }
        expect(last).toBeLessThanOrEqual(text.length);
      }),
      { numRuns: 500 },
    );
  });
});

describe('cost', () => {
  const tenant = piiPolicySchema.parse({
    version: 'c',
    patterns: [{ name: 'TAIL', pattern: '[a-z1 .@-]{1,390}X' }],
  });
  const growth = (unit: string, policy: PiiPolicy): number => {
    const [half = 0, whole = 0] = [32_768, 65_536].map(
      (length) => findPiiCounted(unit.repeat(Math.ceil(length / unit.length)), policy).steps,
    );
    return whole / half;
  };
  const units = [
    'a',
    '1',
    '@',
    'a@',
    'a.',
    '1 ',
    '1-',
    '1.',
    '(1)',
    '+1 ',
    '4111 ',
    '4111 1111 1111 1111 ',
    ':',
    '1:',
    'a:a:',
    '://',
    'a://b',
    'eyJa1.',
    'eyJaaaaaaaaaaaa.',
    'sk-1',
    'sk-1aaaaaaaaaaaaaaaa ',
    'password=',
    'password: 1',
    '-----BEGIN PRIVATE KEY-----',
    '-----BEGIN ',
    'DE89 ',
    'DE8937040044',
    '00',
    '555-',
    '_',
    'EMAIL_',
    'phone 555-1234 ',
    'a@b.co ',
    '07 ',
    'bearer 1',
    '1.1.1.1.',
    '０',
    '\ud83d',
  ];

  it.each(units)('of 64 KiB of %j repeated is linear', (unit) => {
    expect(growth(unit, defaultPiiPolicy)).toBeLessThan(2.5);
  });

  it.each(['a ', '@', '1.'])('of a pattern of the tenant on %j repeated is linear', (unit) => {
    expect(growth(unit, tenant)).toBeLessThan(2.5);
  });
});
