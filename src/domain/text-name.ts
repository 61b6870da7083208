import { z } from 'zod';

/** True for text in Unicode's composed form: what reads the same is then the same name. */
export const isNfc = (text: string): boolean => text === text.normalize('NFC');

/**
 * Characters that nobody sees, that turn the direction of a line (bidi controls), or that end it. The two joiners are none:
 * Persian and Indic words are spelled with them.
 */
const holdsHidden = (text: string): boolean => /(?![\u200c\u200d])[\p{C}\p{Zl}\p{Zp}]/u.test(text);

export const NFC_ERROR = 'is not in Unicode form NFC';

/**
 * One line of text that names something: two names that look the same are the same, and none shows as another than it is.
 * Prose is not held to it.
 * @param maxLength in UTF-16 units
 */
export const textNameSchema = (maxLength: number) =>
  z
    .string()
    .min(1)
    .max(maxLength)
    .refine((name) => !holdsHidden(name), { error: 'holds a control or an invisible character' })
    .refine(isNfc, { error: NFC_ERROR });
