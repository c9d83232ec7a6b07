/** Words as people write them: hexadecimal, the lowest first, or `HIGH:LOW` (and longer) as Linux prints entries; commas and blanks may separate. */
import { hexNumber } from './finding.ts';

/** Something in a text of words that is none. */
export class WordError extends Error {
  override readonly name = 'WordError';
}

/** @throws WordError */
export function wordsOfText(text: string): bigint[] {
  const tokens = text.split(/[\s,;]+/).filter((token) => token !== '');
  return tokens.flatMap((token) => token.split(':').reverse()).map(wordOf);
}

function wordOf(token: string): bigint {
  const value = hexNumber(token);
  if (value === null) throw new WordError(`'${token.slice(0, 40)}' is no hexadecimal word of up to 64 bits`);
  return value;
}
