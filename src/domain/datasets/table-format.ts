import { z } from 'zod';

const delimiterSchema = z
  .string()
  .refine((text) => [...text].length === 1 && !/["\r\n]/.test(text), {
    error: 'is one character, neither a quote nor a line end',
  });

/**
 * How a source file is written. `header`, `delimiter` and `trim` are read for CSV only. The empty cell is always
 * missing; `nullTokens` adds texts that stand for a missing value (compared after trimming).
 */
export const tableFormatSchema = z.strictObject({
  format: z.enum(['csv', 'jsonl', 'parquet']),
  header: z.boolean().default(true),
  delimiter: delimiterSchema.default(','),
  trim: z.boolean().default(true),
  nullTokens: z.array(z.string().max(100)).max(100).default([]),
});

/** How a source file is written, as parsed. */
export type TableFormat = z.infer<typeof tableFormatSchema>;
