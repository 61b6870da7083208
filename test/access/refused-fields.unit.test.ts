import { z } from 'zod';
import { fieldErrors } from '../../src/api/problem.js';

const schema = z.strictObject({
  name: z.string().min(3).max(5),
  count: z.int().min(1),
  share: z.number().gt(0).lt(1),
  mode: z.enum(['fallback', 'fail_closed']),
  kind: z.literal('label'),
  tags: z.array(z.string()).min(1).max(2),
  trainer: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('logistic') }),
    z.object({ kind: z.literal('gbt') }),
  ]),
});

const detailsOf = (body: unknown): Record<string, string | undefined> => {
  const { error } = schema.safeParse(body);
  const errors = error === undefined ? [] : fieldErrors(error);
  return Object.fromEntries(errors.map(({ pointer, detail }) => [pointer, detail]));
};

it('says of each wrong field what is expected, and never repeats what was sent', () => {
  expect(detailsOf({ trainer: {} })).toMatchObject({
    '/name': 'is required',
    '/count': 'is required',
    '/mode': 'must be one of: fallback, fail_closed',
    '/kind': 'must be label',
  });
  const low = { name: 'ab', count: 0, share: 0, mode: 'secret', kind: 'x', tags: [], other: 1 };
  expect(detailsOf({ ...low, trainer: { kind: 'gtb' } })).toEqual({
    '/name': 'must have at least 3 characters',
    '/count': 'must be at least 1',
    '/share': 'must be more than 0',
    '/mode': 'must be one of: fallback, fail_closed',
    '/kind': 'must be label',
    '/tags': 'must have at least 1 items',
    '/trainer/kind': 'must be one of: logistic, gbt',
    '/other': 'this key is not part of the request',
  });
  const high = { name: 'abcdef', count: 1.5, share: 1, tags: ['a', 'b', 'c'], trainer: 'gbt' };
  expect(detailsOf(high)).toMatchObject({
    '/name': 'must have at most 5 characters',
    '/count': 'must be a whole number',
    '/share': 'must be less than 1',
    '/tags': 'must have at most 2 items',
    '/trainer': 'must be an object',
  });
});
