/** Lines of memory dumps: an address, and words, as gdb, crash, QEMU's monitor, xxd and hexdump print them. */
import type { Tables } from './tables.ts';

/** Characters of such a line. */
const LONGEST = 400;
/** An address, and what may be words. */
const LINE = /^\s*(?:0x)?([0-9a-f]{4,16})(?:\s*<[^>]{0,80}>)?(:?)\s+(\S.*)$/i;
const WORD = /^(?:0x)?[0-9a-f]{1,16}$/i;

/** @returns whether the line is one; its words are kept then */
export function takeMemoryLine(line: string, tables: Tables): boolean {
  if (line.length > LONGEST) return false;
  const match = LINE.exec(line);
  if (match === null) return false;
  const at = BigInt(`0x${match[1]}`);
  const colon = match[2] === ':';
  const tokens = wordsOf(match[3] as string, colon);
  if (tokens.length === 0) return false;
  const digits = tokens.map((token) => token.replace(/^0x/i, '').length);
  const same = digits.every((n) => n === digits[0]) ? (digits[0] as number) : 0;
  const prefixed = tokens.every((token) => /^0x/i.test(token));
  // One word of eight digits is a whole one that somebody has typed.
  if (same === 8 && (prefixed || colon) && tokens.length > 1) words32(at, tokens, tables);
  else if (prefixed || (same === 16 && colon)) words64(at, tokens, tables);
  else if ((same === 2 && tokens.length >= 8) || (same === 4 && colon)) bytes(at, tokens.join(''), tables);
  else return false;
  return true;
}

/** The words; the same bytes as text, which hexdump puts behind a bar and the others behind blanks, are left out. */
function wordsOf(rest: string, colon: boolean): string[] {
  const [before] = rest.split(colon ? /\s{2,}/ : /\s+\|/, 1) as [string];
  const tokens = before.trim().split(/\s+/);
  return tokens.every((token) => WORD.test(token)) ? tokens : [];
}

function words64(at: bigint, tokens: readonly string[], tables: Tables): void {
  tokens.forEach((token, i) => {
    tables.set(at + BigInt(8 * i), hexOf(token));
  });
}

/** Halves, lower first; a half alone is left out. */
function words32(at: bigint, tokens: readonly string[], tables: Tables): void {
  for (let i = (at & 7n) === 0n ? 0 : 1; i + 1 < tokens.length; i += 2) {
    tables.set(at + BigInt(4 * i), hexOf(tokens[i] as string) | (hexOf(tokens[i + 1] as string) << 32n));
  }
}

/** Bytes as they lie in memory. */
function bytes(at: bigint, text: string, tables: Tables): void {
  for (let i = Number(-at & 7n); 2 * (i + 8) <= text.length; i += 8) {
    const pairs = text.slice(2 * i, 2 * (i + 8)).match(/../g) as string[];
    tables.set(at + BigInt(i), hexOf(pairs.reverse().join('')));
  }
}

function hexOf(token: string): bigint {
  return BigInt(`0x${token.replace(/^0x/i, '')}`);
}
