import { isIPv4, isIPv6 } from 'node:net';

/** What kind of address it is; `public` is the only kind that every connection may reach. */
export type AddressKind = 'public' | 'loopback' | 'private' | 'link-local' | 'reserved';

type Range = readonly [base: string, prefixBits: number, kind: AddressKind];

// IANA special-purpose registries (RFC 6890 and what followed it); the first match counts.
const ranges4: readonly Range[] = [
  ['127.0.0.0', 8, 'loopback'],
  ['10.0.0.0', 8, 'private'],
  ['172.16.0.0', 12, 'private'],
  ['192.168.0.0', 16, 'private'],
  // RFC 6598, carrier-grade NAT: another customer's network as often as one's own. 100.100.100.200 is a metadata service.
  ['100.100.100.200', 32, 'link-local'],
  ['100.64.0.0', 10, 'private'],
  // Link-local, with the metadata services of the clouds.
  ['169.254.0.0', 16, 'link-local'],
  ['0.0.0.0', 8, 'reserved'],
  ['192.0.0.0', 24, 'reserved'],
  ['192.0.2.0', 24, 'reserved'],
  ['192.88.99.0', 24, 'reserved'],
  ['198.18.0.0', 15, 'reserved'],
  ['198.51.100.0', 24, 'reserved'],
  ['203.0.113.0', 24, 'reserved'],
  // An address that only the metadata service of one cloud answers on.
  ['168.63.129.16', 32, 'link-local'],
  ['224.0.0.0', 3, 'reserved'],
];

// An embedded IPv4 address (mapped, NAT64, 6to4, Teredo) is refused whole: who means the IPv4 address can write it.
const ranges6: readonly Range[] = [
  ['::1', 128, 'loopback'],
  ['fe80::', 10, 'link-local'],
  // Metadata services over IPv6.
  ['fd00:ec2::254', 128, 'link-local'],
  ['fd20:ce::254', 128, 'link-local'],
  ['fc00::', 7, 'private'],
  ['2001::', 23, 'reserved'],
  ['2001:db8::', 32, 'reserved'],
  ['2002::', 16, 'reserved'],
  ['3fff::', 20, 'reserved'],
];

const bytes4 = (address: string): number[] => address.split('.').map(Number);

function bytes6(address: string): number[] {
  // A trailing dotted quad is two groups.
  const text = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (...parts: string[]) => {
    const [a, b, c, d] = parts.slice(1, 5).map(Number);
    return `${(((a ?? 0) << 8) | (b ?? 0)).toString(16)}:${(((c ?? 0) << 8) | (d ?? 0)).toString(16)}`;
  });
  const [head = '', tail] = text.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const gap = Array.from(
    { length: tail === undefined ? 0 : 8 - front.length - back.length },
    () => '0',
  );
  return [...front, ...gap, ...back].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function isWithin(address: readonly number[], base: readonly number[], bits: number): boolean {
  for (let bit = 0; bit < bits; bit += 8) {
    const mask = bits - bit >= 8 ? 0xff : 0xff & (0xff << (8 - (bits - bit)));
    const at = bit / 8;
    if (((address[at] ?? 0) & mask) !== ((base[at] ?? 0) & mask)) return false;
  }
  return true;
}

const kindOf = (
  address: readonly number[],
  ranges: readonly Range[],
  read: (text: string) => number[],
) => ranges.find(([base, bits]) => isWithin(address, read(base), bits))?.[2];

/** Kind of an address in its plain textual form; anything else (zone ids, odd notations) is `reserved`. */
export function addressKind(address: string): AddressKind {
  if (isIPv4(address)) return kindOf(bytes4(address), ranges4, bytes4) ?? 'public';
  if (!isIPv6(address) || address.includes('%')) return 'reserved';
  const bytes = bytes6(address);
  // Only 2000::/3 is global unicast; the rest is special, unassigned, or carries an IPv4 address.
  const isGlobal = ((bytes[0] ?? 0) & 0xe0) === 0x20;
  return kindOf(bytes, ranges6, bytes6) ?? (isGlobal ? 'public' : 'reserved');
}

/** What a connection may reach beside public addresses. */
export interface AddressAllowance {
  /** On-premises hosts: RFC 1918, RFC 6598, ULA. Never link-local. */
  allowPrivateNetwork?: boolean | undefined;
  /** This host: only where an entry names it as that. */
  allowLoopback?: boolean | undefined;
}

/** Why an address is refused, in words; undefined where it is allowed. */
export function addressRefusal(address: string, allowance: AddressAllowance): string | undefined {
  const kind = addressKind(address);
  if (kind === 'public') return undefined;
  if (kind === 'private' && allowance.allowPrivateNetwork === true) return undefined;
  if (kind === 'loopback' && allowance.allowLoopback === true) return undefined;
  return `the address is ${kind}`;
}
