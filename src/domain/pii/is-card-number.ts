/** Luhn (ISO/IEC 7812-1, annex B) over a text of digits. */
function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    if (i % 2 === 0) sum += digit;
    else sum += digit > 4 ? digit * 2 - 9 : digit * 2;
  }
  return sum % 10 === 0;
}

/** Check digit of EAN-13 and UPC-A (GS1 General Specifications, 7.9). */
export function passesGtin(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++)
    sum += (digits.charCodeAt(digits.length - 1 - i) - 48) * (i % 2 === 0 ? 1 : 3);
  return sum % 10 === 0;
}

/** ISO 7064 MOD 97-10 as ISO 13616 uses it; `iban` is compact and in upper case. */
export function passesMod97(iban: string): boolean {
  let rest = 0;
  for (let i = 0; i < iban.length; i++) {
    const code = iban.charCodeAt((i + 4) % iban.length);
    rest = code >= 65 ? (rest * 100 + code - 55) % 97 : (rest * 10 + code - 48) % 97;
  }
  return rest === 1;
}

const weighted = (digits: string, weights: readonly number[]): number =>
  weights.reduce((sum, weight, i) => sum + weight * (digits.charCodeAt(i) - 48), 0);

const NHS_WEIGHTS = [10, 9, 8, 7, 6, 5, 4, 3, 2];

/** NHS number, 10 digits: modulus 11; a remainder that asks for check digit 10 is never issued. */
export function passesNhs(digits: string): boolean {
  const check = 11 - (weighted(digits, NHS_WEIGHTS) % 11);
  return check !== 10 && check % 11 === digits.charCodeAt(9) - 48 && !/^(\d)\1+$/.test(digits);
}

const PESEL_WEIGHTS = [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1];

/** PESEL, 11 digits: a date of birth whose month carries the century (+80, 0, +20, +40, +60), and a check digit. */
export function passesPesel(digits: string): boolean {
  const month = Number(digits.slice(2, 4)) % 20;
  const day = Number(digits.slice(4, 6));
  if (month < 1 || month > 12 || day < 1 || day > 31) return false;
  if (day > 30 && [4, 6, 9, 11].includes(month)) return false;
  if (day > 29 && month === 2) return false;
  return weighted(digits, PESEL_WEIGHTS) % 10 === 0;
}

// Multiplication in the dihedral group of order 10, and the permutation of Verhoeff (1969).
const TIMES = [
  '0123456789',
  '1234067895',
  '2340178956',
  '3401289567',
  '4012395678',
  '5987604321',
  '6598710432',
  '7659821043',
  '8765932104',
  '9876543210',
];
const PERMUTED = [
  '0123456789',
  '1576283094',
  '5803796142',
  '8916043527',
  '9453126870',
  '4286573901',
  '2793806415',
  '7046913258',
];

/** Verhoeff check digit over a text of digits. */
export function passesVerhoeff(digits: string): boolean {
  let check = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    const permuted = Number(PERMUTED[i % 8]?.charAt(digit));
    check = Number(TIMES[check]?.charAt(permuted));
  }
  return check === 0;
}

/** US social security number by the area rules since 2011; areas 9xx are taxpayer numbers (ITIN) with their own groups. */
export function isUsTaxNumber(digits: string): boolean {
  const area = Number(digits.slice(0, 3));
  const group = Number(digits.slice(3, 5));
  if (area === 0 || area === 666 || group === 0 || digits.endsWith('0000')) return false;
  return (
    area < 900 || (group >= 50 && group !== 66 && group !== 69 && group !== 89 && group !== 93)
  );
}

/** Length of cards by the first digits, as the issuers' networks publish them. */
const ISSUERS: readonly (readonly [RegExp, readonly number[]])[] = [
  [/^4/, [13, 16, 19]],
  [/^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]],
  [/^220[0-4]/, [16, 17, 18, 19]],
  [/^3[47]/, [15]],
  [/^(?:30[0-5]|3095|3[689])/, [14, 16, 19]],
  [/^(?:6011|64[4-9]|65|62|60|81|82|508)/, [16, 17, 18, 19]],
  [/^35(?:2[89]|[3-8])/, [16, 17, 18, 19]],
  [/^(?:2131|1800)/, [15]],
  [/^35/, [16]],
  [/^(?:50|5[6-9]|6[0-9])/, [12, 13, 14, 15, 16, 17, 18, 19]],
  [/^9792/, [16]],
];

/** Whether the digits have an issuer's prefix, a length it uses, and pass Luhn. */
export const isCardNumber = (digits: string): boolean =>
  ISSUERS.some(([prefix, lengths]) => lengths.includes(digits.length) && prefix.test(digits)) &&
  passesLuhn(digits);
