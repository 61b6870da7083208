import { createRequestIds } from '../../src/main/create-request-ids.js';

test('every request has an id of its own, over many draws and in every process', () => {
  const [one, other] = [createRequestIds(), createRequestIds()];
  const ids = Array.from({ length: 2_000 }, (_, at) => (at % 2 === 0 ? one() : other()));
  for (const id of ids) expect(id).toMatch(/^req_[0-9A-HJKMNP-TV-Z]{26}$/);
  // Without the time that they begin with: it is the same for many.
  expect(new Set(ids.map((id) => id.slice(-16))).size).toBe(ids.length);
});
