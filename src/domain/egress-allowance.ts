/** An origin that outbound calls may reach; `host` `*` is any public one, port 0 any port. */
export interface EgressAllowance {
  scheme: 'https' | 'http';
  host: string;
  port: number;
  allowPrivateNetwork: boolean;
}

/** `https://host[:port][ private]`; undefined where it is none. */
export function egressAllowanceOf(text: string): EgressAllowance | undefined {
  const found = /^(https?):\/\/(\*|\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(\d{1,5}))?( private)?$/.exec(
    text.toLowerCase(),
  );
  const [, scheme, host, port, isPrivate] = found ?? [];
  if (scheme === undefined || host === undefined) return undefined;
  const fallback = host === '*' ? 0 : scheme === 'https' ? 443 : 80;
  return {
    scheme: scheme === 'https' ? 'https' : 'http',
    host: host.replace(/^\[|\]$/g, ''),
    port: port === undefined ? fallback : Number(port),
    allowPrivateNetwork: isPrivate !== undefined,
  };
}
