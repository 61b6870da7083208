import { addressRefusal } from '../../src/adapters/egress/address-policy.js';
import { serviceEntry } from '../../src/main/outbound.js';

it.each([
  ['http://localhost:8080/v1', '127.0.0.1', undefined],
  ['http://127.0.0.1:8080/v1', '127.0.0.1', undefined],
  ['http://[::1]:8080/v1', '::1', undefined],
  ['https://embeddings.example.com/v1', '127.0.0.1', 'the address is loopback'],
  ['https://embeddings.example.com/v1', '10.1.2.3', undefined],
  ['https://embeddings.example.com/v1', '169.254.169.254', 'the address is link-local'],
])('the embedding service %s may be at %s: %s', (url, address, refusal) => {
  expect(addressRefusal(address, serviceEntry(new URL(url)))).toBe(refusal);
});
