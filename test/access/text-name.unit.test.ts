import type { z } from 'zod';
import { createPrincipalSchema, setGroupsSchema } from '../../src/domain/access/contract.js';
import { putDatasetSchema } from '../../src/domain/datasets/contract.js';
import { fieldNameSchema } from '../../src/domain/datasets/field.js';
import { pushMessageSchema } from '../../src/domain/etl/document-requests.js';
import { registerModelSchema } from '../../src/domain/registry/contract.js';
import { querySchema } from '../../src/domain/retrieval/contract.js';
import { startTrainingSchema } from '../../src/domain/training/contract.js';

/** Every place where a caller names something by text, and a way to put a name there. */
const places: [string, z.ZodType, (name: string) => object][] = [
  ['principal', createPrincipalSchema.pick({ name: true }), (name) => ({ name })],
  ['group of a principal', setGroupsSchema, (name) => ({ groups: [name] })],
  ['title of a data set', putDatasetSchema.pick({ title: true }), (title) => ({ title })],
  ['owner of a model', registerModelSchema.pick({ owner: true }), (owner) => ({ owner })],
  ['experiment', startTrainingSchema.pick({ experiment: true }), (experiment) => ({ experiment })],
  ['key of a document', pushMessageSchema, (key) => ({ key, content: '' })],
  ['group of an access list', pushMessageSchema, (n) => ({ key: 'k', acl: [`group:${n}`] })],
  [
    'group that a delegate asks for',
    querySchema.pick({ onBehalfOf: true }),
    (name) => ({ onBehalfOf: { subject: 'a', groups: [name] } }),
  ],
];

test.each(places)('the %s is in NFC and shows what it is', (_, schema, put) => {
  const taken = ['credit', 'caf\u00e9', 'תקנון', '가나', '😀'];
  const refused = [
    'cafe\u0301',
    '\u1100\u1161',
    'a\u202eb',
    'a\u2066b',
    'a\u200bb',
    'a\u0007b',
    '',
  ];
  const passes = (name: string) => schema.safeParse(put(name)).success;
  expect(taken.filter((name) => !passes(name))).toEqual([]);
  expect(refused.filter(passes)).toEqual([]);
});

test('a name may be spelled with joiners', () => {
  const title = putDatasetSchema.pick({ title: true });
  for (const word of ['\u0646\u0627\u0645\u0647\u200c\u0647\u0627', '\u0915\u094d\u200d\u0937'])
    expect(title.safeParse({ title: word }).success).toBe(true);
});

test('a field never has a name that no request may hold', () => {
  for (const name of ['__proto__', 'constructor', 'prototype'])
    expect(fieldNameSchema.safeParse(name).success).toBe(false);
  for (const name of ['proto', 'Constructor', 'toString'])
    expect(fieldNameSchema.safeParse(name).success).toBe(true);
});
