import { readIpv6 } from './find-ipv6.js';
import { isNorthAmerican, readInternational } from './read-international.js';
import { foldText } from './scan-text.js';

function normalisePhone(value: string): string {
  const [number = '', extension] = value.toLowerCase().split(/x|ext\.?(?:ension)?/);
  const digits = number.replace(/\D/g, '');
  const suffix = extension === undefined ? '' : `x${extension.replace(/\D/g, '')}`;
  const abroad = /^\(?\+/.test(number) ? digits : digits.startsWith('00') ? digits.slice(2) : '';
  const read = abroad === '' ? undefined : readInternational(abroad);
  if (read) return `+${read.code}${read.national}${suffix}`;
  const north = digits.length === 11 && digits.startsWith('1') ? digits.slice(1) : digits;
  return isNorthAmerican(north) ? `+1${north}${suffix}` : digits + suffix;
}

/**
 * One form for the ways a value is written, so that equal values get equal pseudonyms: case of e-mail and IP addresses,
 * separators of numbers, `00` and `+`, the trunk zero, the country of North American numbers, the case of a URL's host.
 */
export function normaliseValue(kind: string, value: string): string {
  const folded = foldText(value);
  switch (kind) {
    case 'EMAIL':
    case 'URL_USERINFO':
      return kind === 'EMAIL' ? folded.toLowerCase() : lowerHost(folded);
    case 'PHONE':
      return normalisePhone(folded);
    case 'CARD':
    case 'SSN':
    case 'NHS':
    case 'PESEL':
    case 'AADHAAR':
      return folded.replace(/\D/g, '');
    case 'IBAN':
      return folded.replace(/[^A-Za-z0-9]/g, '').toUpperCase();
    case 'IP':
      return readIpv6(folded)?.join(':') ?? folded;
    default:
      return value;
  }
}

const lowerHost = (url: string): string => {
  const at = url.lastIndexOf('@');
  return url.slice(0, at) + url.slice(at).toLowerCase();
};
