import { createTestDatabase, type TestDatabase } from '../support/database.js';

test('many who provision one server at the same instant each get their database', async () => {
  const outcomes = await Promise.allSettled(Array.from({ length: 12 }, () => createTestDatabase()));
  const opened = outcomes.filter(
    (outcome): outcome is PromiseFulfilledResult<TestDatabase> => outcome.status === 'fulfilled',
  );
  const names = opened.map(({ value }) => new URL(value.adminUrl).pathname);
  await Promise.all(opened.map(({ value }) => value.close()));
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
  expect(new Set(names).size).toBe(12);
});
