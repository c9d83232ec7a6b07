/** debugfs `invalidation_queue` of Intel: descriptors with the status words that waits write; on one line or wrapped. */
import type { Detail, Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { LineFormat } from '../line-format.ts';
import type { Opener, Section } from '../section.ts';
import type { DecodedStructure } from '../structure.ts';
import { bitsText, decodeStructure } from '../structure.ts';
import { VTD_DESCRIPTOR } from '../vtd/kinds.ts';

const BASE = /^\s*Base: (0x[0-9a-f]{1,16})\s+Head: (\d{1,7})\s+Tail: (\d{1,7})\s*$/i;
const HEAD = /^\s*(?:Index\s+)?(?:qw[0-3]\s+)*(?:qw[0-3]|status)\s*$/i;
const ROW = /^\s*(?:(\d{1,7})\s+)?((?:[0-9a-f]{16}\s*){1,5})$/i;

/** Descriptors before the head that are shown: what was done last. */
const SHOWN = 8;

const open: Opener = ({ unit = '' }): Section => {
  const rows: { index: number; words: bigint[] }[] = [];
  let base = '';
  let head = 0;
  let tail = 0;
  let next = 0;
  let columns: string[] = ['qw0', 'qw1', 'status'];
  return {
    take(line) {
      if (line.trim() === '') return true;
      const place = BASE.exec(line);
      if (place !== null) {
        [base, head, tail] = [place[1] as string, Number(place[2]), Number(place[3])];
        return true;
      }
      if (HEAD.test(line)) {
        columns = line
          .trim()
          .split(/\s+/)
          .filter((name) => name !== 'Index');
        next = 0;
        return true;
      }
      const row = ROW.exec(line);
      if (row === null) return false;
      // The status is not of the descriptor.
      const words = (row[2] as string)
        .trim()
        .split(/\s+/)
        .map((word) => hexNumber(word) as bigint)
        .filter((_, i) => columns[i] !== 'status');
      if (row[1] !== undefined) rows.push({ index: Number(row[1]), words });
      else rows[next++]?.words.push(...words);
      return true;
    },
    close: () => [summary(unit, base, head, tail, rows)],
  };
};

function summary(
  unit: string,
  base: string,
  head: number,
  tail: number,
  rows: readonly { index: number; words: bigint[] }[],
): Finding {
  const pending = head !== tail;
  const details: Detail[] = [];
  const structures: DecodedStructure[] = [];
  const isPending = (index: number) => (head <= tail ? index >= head && index < tail : index >= head || index < tail);
  const shown = rows.filter(
    ({ index, words }) =>
      words.some((word) => word !== 0n) &&
      (isPending(index) || (!pending && index >= head - SHOWN && index < head) || rows.length <= SHOWN),
  );
  for (const { index, words } of shown) {
    const decoded = tryDecode(words);
    if (decoded === null) details.push([`[${index}]`, 'has no type that the specification has']);
    else {
      structures.push(decoded);
      const g = decoded.fields.find(({ name }) => name === 'G')?.meaning;
      const state = isPending(index) ? 'not executed yet' : 'done';
      details.push([`[${index}]`, `${decoded.name}${g == null ? '' : `, ${g}`}: ${state}`]);
      for (const run of decoded.reserved) details.push([`[${index}]`, `bits ${bitsText(run)} are reserved, and set`]);
    }
  }
  return {
    ...NOTHING,
    kind: 'vtd.queue',
    model: 'vtd',
    severity: pending ? 'warning' : 'info',
    summary: `invalidation queue of ${unit}${base === '' ? '' : ` at ${base}`}: head ${head}, tail ${tail}${pending ? ': descriptors are waiting; if this stays so, the queue has stopped (see FSTS)' : ', nothing is waiting'}`,
    details,
    structures,
  };
}

function tryDecode(words: readonly bigint[]): DecodedStructure | null {
  try {
    return decodeStructure(VTD_DESCRIPTOR, words.length > 2 ? [...words, 0n, 0n].slice(0, 4) : words);
  } catch {
    return null;
  }
}

export const QUEUE_DUMP: LineFormat = {
  id: 'vtd.queue',
  needle: 'Invalidation queue on IOMMU',
  pattern: /Invalidation queue on IOMMU: (?<unit>[\w.-]{1,32})/i,
  example: 'Invalidation queue on IOMMU: dmar0',
  printedBy: 'Linux, debugfs iommu/intel/invalidation_queue',
  section: open,
};
