/** Registers and entries that tables begin at, as lines that name them: `ddtp: 0x…`, `STRTAB_BASE = 0x…`, `amdvi.dte: 0x… 0x… 0x… 0x…`. */
import { decodedOrNull, kindNamed } from '../structure.ts';
import { wordsOfText } from '../words.ts';
import { AMD_REGISTERS, AMD_ROOTS } from './amdvi/walk.ts';
import { RISCV_REGISTERS, RISCV_ROOTS } from './riscv/walk.ts';
import { SMMU_REGISTERS, SMMU_ROOTS } from './smmuv3/walk.ts';
import type { Tables } from './tables.ts';
import { VTD_ROOTS } from './vtd-root.ts';

/** What a walk takes from lines, by kind. */
const KINDS: readonly string[] = [
  ...AMD_ROOTS,
  ...AMD_REGISTERS,
  ...RISCV_ROOTS,
  ...RISCV_REGISTERS,
  ...SMMU_ROOTS,
  ...SMMU_REGISTERS,
  ...VTD_ROOTS,
];

/** By the name alone, as registers are spelt: `strtab_base`. */
const BY_NAME: ReadonlyMap<string, string> = new Map(
  KINDS.flatMap((id) => [
    [id, id],
    [id.slice(id.indexOf('.') + 1).replaceAll('-', '_'), id],
  ]),
);

/** Characters of such a line. */
const LONGEST = 400;
const WORD = '(?:0x)?[0-9a-f]{1,16}';
const LINE = new RegExp(
  `^\\s*(?:smmu_)?([a-z][\\w.-]{1,40})\\s*[:=]\\s*(${WORD}(?:(?::|[\\s,]{1,8})${WORD}){0,7})\\s*$`,
  'i',
);

/** @returns whether the line is one; what it gives is kept then */
export function takeRootLine(line: string, tables: Tables): boolean {
  if (line.length > LONGEST) return false;
  const [, name, words] = LINE.exec(line) ?? [];
  const id = BY_NAME.get((name ?? '').toLowerCase());
  const kind = id === undefined ? null : kindNamed(id);
  if (kind === null) return false;
  const decoded = decodedOrNull(kind, wordsOfText(words as string));
  if (decoded !== null) tables.give(decoded);
  return decoded !== null;
}
