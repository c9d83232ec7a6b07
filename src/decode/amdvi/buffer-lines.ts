/** AMD-Vi's command buffer as Linux dumps it: after a completion that did not come (amd_iommu_dump), and in debugfs (`amd/iommu*`/cmdbuf, 6.17 and later). */
import type { Detail, Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import type { DecodedStructure } from '../structure.ts';
import { decodedOrNull } from '../structure.ts';
import { AMD_COMMAND } from './kinds.ts';

/** Entries of the buffer that Linux sets up. */
const ENTRIES = 512;
/** Commands that are shown: whoever waits, waits for the first. */
const SHOWN = 8;

/** By index; what has no type is not there. */
function commandsOf(rest: readonly Groups[]): Map<number, DecodedStructure> {
  const commands = new Map<number, DecodedStructure>();
  for (const { a, b, c, d, index } of rest) {
    const words = [`${b}${a}`, `${d}${c}`].map((text) => hexNumber(text));
    const decoded = words.every((word) => word !== null) ? decodedOrNull(AMD_COMMAND, words) : null;
    if (decoded !== null && Number(index) < ENTRIES) commands.set(Number(index), decoded);
  }
  return commands;
}

/** What was put into the buffer, and not taken from it yet, first one first. */
function buffer({ head, tail }: Groups, rest: readonly Groups[]): Finding | null {
  const [from, to] = [Number(head), Number(tail)];
  if (from >= ENTRIES || to >= ENTRIES) return null;
  const commands = commandsOf(rest);
  const count = (to - from + ENTRIES) % ENTRIES;
  const waiting = Array.from({ length: count }, (_, i) => commands.get((from + i) % ENTRIES));
  const last = commands.get((from - 1 + ENTRIES) % ENTRIES);
  const details: Detail[] = [['last one taken', last?.name ?? 'not in the dump']];
  if (count > SHOWN) details.push(['not shown', `${count - SHOWN} more`]);
  return {
    ...NOTHING,
    kind: 'amdvi.command-buffer',
    model: 'amdvi',
    severity: 'info',
    summary:
      count === 0
        ? `the command buffer: all commands were taken (head and tail ${from})`
        : `the command buffer: ${count} ${count === 1 ? 'command waits' : 'commands wait'} (head ${from}, tail ${to})`,
    details,
    structures: waiting.slice(0, SHOWN).filter((command) => command !== undefined),
  };
}

const WORDS = ['a', 'b', 'c', 'd'].map((name) => `(?<${name}>[0-9a-f]{8})`).join(' ?');

export const BUFFER_LINES: readonly LineFormat[] = (
  [
    [
      'amdvi.command-buffer',
      'head=',
      ' tail=',
      'AMD-Vi: CMD Buffer head=510 tail=1',
      'Linux 6.18 and later, with amd_iommu_dump',
    ],
    [
      'amdvi.command-buffer.debugfs',
      'Head Offset:',
      ' Tail Offset:',
      'CMD Buffer Head Offset:510 Tail Offset:1',
      'debugfs of Linux 6.17 and later',
    ],
  ] as const
).map(([id, head, tail, example, printedBy]) => ({
  ...{ id, example, printedBy },
  needle: `CMD Buffer ${head}`,
  pattern: new RegExp(String.raw`CMD Buffer ${head}(?<head>\d{1,5})${tail}(?<tail>\d{1,5})\s*$`),
  decode: (groups: Groups) => buffer(groups, []),
  follow: {
    pattern: new RegExp(String.raw`(?:^|\s)(?<index>\d{1,3}): ${WORDS}\s*$`, 'i'),
    count: ENTRIES,
    example: [
      '  0: 23456789 10000001 0000002b 00000000',
      '509: 00000005 20000000 00000000 00000000',
      '510: 00000000 30000013 fffff003 7fffffff',
      '511: 23456789 10000001 0000002a 00000000',
    ],
    decode: buffer,
  },
}));
