/** The 16-bit groups of one side of an IPv6 address. */
const groupsOf = (text: string): string[] => (text === '' ? [] : text.split(':'));

/**
 * What counts as one address: an IPv4 address as it is, also where it comes inside IPv6; of IPv6 the first 64 bits, because
 * whoever has one address there has all of them. Anything else stands for itself.
 */
export function addressGroup(address: string): string {
  const [bare = ''] = address.toLowerCase().split('%');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare)?.[1];
  if (mapped !== undefined) return mapped;
  if (!bare.includes(':')) return bare;
  const [head = '', tail] = bare.split('::');
  const [left, right] = [groupsOf(head), groupsOf(tail ?? '')];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const all = [...left, ...Array.from({ length: zeros }, () => '0'), ...right];
  const short = all.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''));
  return `${short.join(':')}::/64`;
}
