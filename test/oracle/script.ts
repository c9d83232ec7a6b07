/**
 * What the fuzzer makes, the shrinker cuts and a report prints: a list of operations, one line of text each. Lowering turns it into a
 * program of accesses with everything that is compared, the same for both back ends.
 *
 *   store A V           a 64-bit word of memory
 *   reg N SIZE V        a register of the unit, by offset, of 4 or 8 bytes
 *   srtp V              RTADDR, then GCMD.SRTP
 *   sirtp V             IRTA, then GCMD.SIRTP
 *   te 0|1, qie 0|1, ire 0|1, cfi 0|1   GCMD.TE, QIE, IRE, CFI; the others are repeated
 *   inv LO HI [W2 W3]   a descriptor in the queue, and the tail behind it; of 256 bits where IQA says so
 *   dma D IOVA LEN GPA  test device D writes LEN bytes; then it looks at GPA
 *   edu read|write IOVA AT LEN    `edu` reads into its buffer at AT, or writes from there
 *   msi S ADDRESS DATA  sender S sends an interrupt
 *   clear               software takes the fault record and clears the status
 *   dump                all registers
 */
import { GCMD, ICS, IQA, IQH, IQT, IRTA } from '../../src/iommu/vtd/index.ts';
import { MAP, Program, REGISTER_BYTES } from './platform.ts';

/** Fields of GCMD that are states. */
type Switch = 'te' | 'qie' | 'ire' | 'cfi';
const SWITCHES: readonly Switch[] = ['te', 'qie', 'ire', 'cfi'];
const isSwitch = (name: string): name is Switch => (SWITCHES as readonly string[]).includes(name);

export type Op =
  | { readonly op: 'store'; readonly at: number; readonly value: bigint }
  | { readonly op: 'reg'; readonly offset: number; readonly size: 4 | 8; readonly value: bigint }
  | { readonly op: 'srtp' | 'sirtp'; readonly value: bigint }
  | { readonly op: Switch; readonly on: number }
  | { readonly op: 'msi'; readonly sender: number; readonly address: number; readonly data: number }
  | {
      readonly op: 'inv';
      readonly lo: bigint;
      readonly hi: bigint;
      /** The other two words of 256 bits, if they are not 0. */
      readonly upper?: readonly [bigint, bigint];
    }
  | {
      readonly op: 'dma';
      readonly device: number;
      readonly iova: bigint;
      readonly length: number;
      readonly gpa: bigint;
    }
  | {
      readonly op: 'edu';
      readonly write: boolean;
      readonly iova: bigint;
      readonly inside: number;
      readonly length: number;
    }
  | { readonly op: 'clear' | 'dump' };

export type Script = readonly Op[];

/** Where a script has its queue (QS may be up to 1: two pages), its status words and the pages that DMA reaches. */
export const LAYOUT = { queue: 0x1f0000, status: 0x1f8000, data: 0x200000, dataBytes: 0x10000 } as const;

const FRCD = 0x220;
/** After a request: of the fault record the uppermost word, with F, type and reason, and the lowest, with the page; the status. */
const FAULT = [
  [FRCD + 12, 'FRCD.reason'],
  [FRCD, 'FRCD.FI'],
  [0x34, 'FSTS'],
] as const;

/** Registers that are looked at after each operation: those that it can change. */
const AFTER: Readonly<Partial<Record<Op['op'], readonly (readonly [number, string])[]>>> = {
  reg: [[0x34, 'FSTS']],
  srtp: [[0x1c, 'GSTS']],
  sirtp: [[0x1c, 'GSTS']],
  te: [[0x1c, 'GSTS']],
  ire: [[0x1c, 'GSTS']],
  cfi: [[0x1c, 'GSTS']],
  qie: [
    [0x1c, 'GSTS'],
    [IQH.offset, 'IQH'],
    [0x34, 'FSTS'],
  ],
  inv: [
    [IQH.offset, 'IQH'],
    [0x34, 'FSTS'],
    [ICS.offset, 'ICS'],
  ],
  dma: FAULT,
  edu: FAULT,
  msi: FAULT,
  clear: [
    [0x34, 'FSTS'],
    [0x38, 'FECTL'],
  ],
};

/** A lowered script: what is read, and after which operation. */
export interface Lowered {
  readonly program: Program;
  /** Index of the operation that each value read belongs to; the script's length for what is looked at in the end. */
  readonly ops: readonly number[];
}

export function lower(script: Script): Lowered {
  const program = new Program();
  const ops: number[] = [];
  const state = { te: 0, qie: 0, ire: 0, cfi: 0, tail: 0, queueBytes: 4096, descriptorBytes: 16 };
  script.forEach((op, i) => {
    lowerOne(program, op, state);
    for (const [offset, name] of AFTER[op.op] ?? []) program.read32(MAP.iommu + offset, name);
    while (ops.length < program.labels.length) ops.push(i);
  });
  program.dump(MAP.iommu, REGISTER_BYTES, 'registers');
  program.messages('messages');
  program.dump(LAYOUT.data, LAYOUT.dataBytes, 'memory');
  program.dump(LAYOUT.status, 0x1000, 'status');
  for (const page of tablePages(script)) program.dump(page, 0x1000, 'tables');
  while (ops.length < program.labels.length) ops.push(script.length);
  return { program, ops };
}

/** Pages with paging entries, in which flags may be set: those that software has stored to, in scalable mode. */
function tablePages(script: Script): number[] {
  if (!script.some((op) => op.op === 'srtp' && (op.value & 0x400n) !== 0n)) return [];
  const pages = script.flatMap((op) => (op.op === 'store' && op.at < LAYOUT.queue ? [op.at & ~0xfff] : []));
  return [...new Set(pages)].sort((a, b) => a - b);
}

interface State {
  te: number;
  qie: number;
  ire: number;
  cfi: number;
  tail: number;
  queueBytes: number;
  descriptorBytes: number;
}

function lowerOne(program: Program, op: Op, state: State): void {
  const command = (extra = 0) => {
    const { te, qie, ire, cfi } = state;
    const on = (te << GCMD.TE.lo) | (qie << GCMD.QIE.lo) | (ire << GCMD.IRE.lo) | (cfi << GCMD.CFI.lo);
    program.write32(MAP.iommu + GCMD.offset, on | extra);
  };
  switch (op.op) {
    case 'store':
      return program.write64(op.at, op.value);
    case 'reg':
      if (op.offset === IQA.offset) {
        state.queueBytes = 4096 << Number(op.value & 7n);
        state.descriptorBytes = 16 << (Number(op.value >> BigInt(IQA.DW.lo)) & 1);
      }
      if (op.offset === IQT.offset) state.tail = Number(op.value & 0x7fff0n);
      if (op.size === 8) return program.write64(MAP.iommu + op.offset, op.value);
      return program.write32(MAP.iommu + op.offset, Number(op.value));
    case 'srtp':
      program.write64(MAP.iommu + 0x20, op.value);
      return command(1 << GCMD.SRTP.lo);
    case 'sirtp':
      program.write64(MAP.iommu + IRTA.offset, op.value);
      return command(1 << GCMD.SIRTP.lo);
    case 'te':
    case 'qie':
    case 'ire':
    case 'cfi':
      state[op.op] = op.on;
      return command();
    case 'msi':
      program.msi(op.sender, op.address, op.data);
      return program.messages('messages');
    case 'inv':
      program.write64(LAYOUT.queue + state.tail, op.lo);
      program.write64(LAYOUT.queue + state.tail + 8, op.hi);
      if (state.descriptorBytes === 32) {
        program.write64(LAYOUT.queue + state.tail + 16, op.upper?.[0] ?? 0n);
        program.write64(LAYOUT.queue + state.tail + 24, op.upper?.[1] ?? 0n);
      }
      state.tail = (state.tail + state.descriptorBytes) % state.queueBytes;
      return program.write32(MAP.iommu + IQT.offset, state.tail);
    case 'dma':
      return program.testdev(op.device, op.iova, op.length, op.gpa, 'RESULT');
    case 'edu':
      return program.edu(op.write, op.iova, op.inside, op.length);
    case 'clear':
      program.dump(MAP.iommu + FRCD, 16, 'FRCD');
      program.write32(MAP.iommu + FRCD + 12, 0x80000000);
      return program.write32(MAP.iommu + 0x34, 0x71);
    case 'dump':
      return program.dump(MAP.iommu, REGISTER_BYTES, 'registers');
  }
}

const hex = (value: bigint | number) => `0x${value.toString(16)}`;

export function print(op: Op): string {
  switch (op.op) {
    case 'store':
      return `store ${hex(op.at)} ${hex(op.value)}`;
    case 'reg':
      return `reg ${hex(op.offset)} ${op.size} ${hex(op.value)}`;
    case 'srtp':
    case 'sirtp':
      return `${op.op} ${hex(op.value)}`;
    case 'msi':
      return `msi ${op.sender} ${hex(op.address)} ${hex(op.data)}`;
    case 'te':
    case 'qie':
    case 'ire':
    case 'cfi':
      return `${op.op} ${op.on}`;
    case 'inv':
      return ['inv', op.lo, op.hi, ...(op.upper ?? [])]
        .map((word) => (typeof word === 'string' ? word : hex(word)))
        .join(' ');
    case 'dma':
      return `dma ${op.device} ${hex(op.iova)} ${op.length} ${hex(op.gpa)}`;
    case 'edu':
      return `edu ${op.write ? 'write' : 'read'} ${hex(op.iova)} ${op.inside} ${op.length}`;
    default:
      return op.op;
  }
}

/** The reverse of {@link print}. Empty lines and lines that begin with `#` are nothing. @throws Error that names the line */
export function parse(text: string): Op[] {
  return text.split('\n').flatMap((line, i) => {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || words[0].startsWith('#')) return [];
    const op = parseOne(words);
    if (op === null) throw new Error(`line ${i + 1}: not an operation: ${line.trim()}`);
    return [op];
  });
}

/** Words behind an operation's name. */
const COUNT: Readonly<Record<string, number>> = {
  ...{ store: 2, reg: 3, srtp: 1, sirtp: 1, te: 1, qie: 1, ire: 1, cfi: 1 },
  ...{ inv: 2, dma: 4, edu: 4, msi: 3, clear: 0, dump: 0 },
};

function parseOne([name, ...rest]: string[]): Op | null {
  const count = COUNT[name];
  if (count !== rest.length && !(name === 'inv' && rest.length === 4)) return null;
  const [a, b, c, d] = rest.map((word) => (/^(0x[0-9a-f]+|\d+)$/.test(word) ? BigInt(word) : null));
  if (name === 'edu') {
    if ((rest[0] !== 'read' && rest[0] !== 'write') || b === null || c === null || d === null) return null;
    return { op: 'edu', write: rest[0] === 'write', iova: b, inside: Number(c), length: Number(d) };
  }
  if ([a, b, c, d].includes(null)) return null;
  if (name === 'inv' && rest.length === 4)
    return { op: 'inv', lo: a as bigint, hi: b as bigint, upper: [c as bigint, d as bigint] };
  const [v, w, x, y] = [a, b, c, d] as bigint[];
  if (name === 'store') return { op: 'store', at: Number(v), value: w };
  if (name === 'reg') return { op: 'reg', offset: Number(v), size: w === 8n ? 8 : 4, value: x };
  if (name === 'srtp' || name === 'sirtp') return { op: name, value: v };
  if (isSwitch(name)) return { op: name, on: Number(v) };
  if (name === 'msi') return { op: 'msi', sender: Number(v), address: Number(w), data: Number(x) };
  if (name === 'inv') return { op: 'inv', lo: v, hi: w };
  if (name === 'dma') return { op: 'dma', device: Number(v), iova: w, length: Number(x), gpa: y };
  return { op: name as 'clear' | 'dump' };
}
