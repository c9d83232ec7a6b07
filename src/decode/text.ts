/** Text that came from somewhere: what stands before a message, and what may not reach a terminal. */

/** The message of a line of a log, and its time as it is written. */
export interface Message {
  readonly text: string;
  readonly time: string | null;
}

const KERNEL_TIME = /\[\s*(\d+\.\d{3,9})\]/;
const ISO_TIME = /\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?/;
/** Of QEMU's log backend of traces. */
const QEMU_TIME = /^\d{1,10}@(\d{1,12}\.\d{6}):/;
const SYSLOG_TIME = /[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?/;

/** Characters before a message in which its time is looked for. */
const PREFIX = 160;

/** A line of `journalctl -o json` is taken apart; any other is the message itself, whatever stands before it. */
export function messageOf(line: string): Message {
  if (line.charCodeAt(0) === 0x7b) {
    const entry = journalEntry(line);
    if (entry !== null) return entry;
  }
  const prefix = line.slice(0, PREFIX);
  const time =
    KERNEL_TIME.exec(prefix)?.[1] ??
    QEMU_TIME.exec(prefix)?.[1] ??
    ISO_TIME.exec(prefix)?.[0] ??
    SYSLOG_TIME.exec(prefix)?.[0] ??
    null;
  return { text: line, time };
}

function journalEntry(line: string): Message | null {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
  const { MESSAGE: message } = entry;
  // Messages with bytes that are no text are arrays of bytes.
  const text = Array.isArray(message) ? bytesText(message) : message;
  if (typeof text !== 'string') return null;
  const micros = Number(entry.__REALTIME_TIMESTAMP);
  const valid = Number.isFinite(micros) && Math.abs(micros) < 8.64e18;
  return { text, time: valid ? new Date(micros / 1000).toISOString() : null };
}

function bytesText(bytes: readonly unknown[]): string {
  return bytes.map((byte) => (typeof byte === 'number' ? String.fromCharCode(byte & 0xff) : '')).join('');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** Text that can be shown: control characters, escape sequences and marks that turn the direction are written out. */
export function printable(text: string): string {
  return text.replace(CONTROL, (char) =>
    char === '\t' ? ' ' : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
