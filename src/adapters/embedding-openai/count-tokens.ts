import { countTokens as count } from 'gpt-tokenizer/encoding/cl100k_base';

/** Name of what {@link countTokens} counts by. */
export const TOKENIZER = 'cl100k_base';

/** Tokens of a text as OpenAI's embedding models count them; an estimate for models of others. */
export const countTokens = (text: string): number =>
  // Markers such as <|endoftext|> inside a document are text.
  count(text, { disallowedSpecial: new Set<string>() });
