import { isIP } from 'node:net';
import { PlatformError } from '../../domain/errors.js';
import type { AddressAllowance } from './address-policy.js';

/** Where one connection entry may go. */
export interface ConnectionEntry extends AddressAllowance {
  scheme: 'https' | 'http';
  /** Host name or plain IP address, lower case, without brackets. `*` is any host: crawlers; addresses are still checked. */
  host: string;
  /** 0 is any port. */
  port: number;
}

/** Caps of one call. A body is cut off at the first byte above `maxBytes`, compressed or not. */
export interface EgressLimits {
  /** Bytes after decompression. */
  maxBytes: number;
  /** Decompressed to compressed size, judged above 64 KiB. */
  maxRatio: number;
  /** Until the last byte of the body. */
  timeoutMs: number;
  connectTimeoutMs: number;
}

/** 32 MiB, ratio 100, 30 s, 5 s to connect. */
export const defaultEgressLimits: EgressLimits = {
  maxBytes: 33_554_432,
  maxRatio: 100,
  timeoutMs: 30_000,
  connectTimeoutMs: 5_000,
};

/** Answers every A and AAAA address of a name. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** What the egress may do. */
export interface EgressPolicy {
  connections: readonly ConnectionEntry[];
  limits?: Partial<EgressLimits> | undefined;
  /** The system's resolver unless a test brings its own. */
  resolve?: Resolve | undefined;
}

/** A refusal by policy; the message names the rule and the host, never a path or a credential. */
export const refused = (message: string): PlatformError =>
  new PlatformError('EGRESS_REFUSED', message);

const plainHost = (host: string): string => host.replace(/^\[|\]$/g, '').toLowerCase();

const portOf = (url: URL): number =>
  url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);

/**
 * The address as it was written, before URL parsing made it plain: `0x7f.1`, `2130706433`, `0177.0.0.1` all become
 * 127.0.0.1, and no honest configuration writes them.
 */
function isOddNotation(written: string, url: URL): boolean {
  const host = plainHost(url.hostname);
  if (isIP(host) === 0) return false;
  const authority = /^[a-z][a-z0-9+.-]*:[/\\]*([^/\\?#]*)/i.exec(written.trim())?.[1] ?? '';
  const writtenHost = plainHost(authority.replace(/^.*@/, '').replace(/:\d*$/, ''));
  return isIP(host) === 4 ? writtenHost !== host : isIP(writtenHost) !== 6;
}

/** The entry that allows this URL. @throws PlatformError EGRESS_REFUSED */
export function entryOf(
  connections: readonly ConnectionEntry[],
  written: string,
): { url: URL; host: string; entry: ConnectionEntry } {
  if (!URL.canParse(written)) throw refused('the address is not a URL');
  const url = new URL(written);
  const scheme = url.protocol.slice(0, -1);
  const host = plainHost(url.hostname);
  if (scheme !== 'https' && scheme !== 'http') throw refused(`scheme ${scheme} is not allowed`);
  if (url.username !== '' || url.password !== '')
    throw refused('an address must not carry credentials');
  if (isOddNotation(written, url)) throw refused('the host is an address in an odd notation');
  if (host.endsWith('.')) throw refused('the host ends in a dot');
  const port = portOf(url);
  const entry = connections.find(
    (one) =>
      one.scheme === scheme &&
      (one.host === '*' || plainHost(one.host) === host) &&
      (one.port === 0 || one.port === port),
  );
  if (!entry) throw refused(`no connection names ${scheme}://${host}:${port}`);
  return { url, host, entry };
}
