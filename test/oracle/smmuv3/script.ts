/**
 * What the fuzzer makes, the shrinker cuts and a report prints: a list of operations, one line of text each. Lowering turns it into a program of accesses
 * with everything that is compared, the same for both back ends.
 *
 *   store A V           a 64-bit word of memory
 *   ste A W0 W1 W2 W3   the words of an STE that count: never apart, as QEMU ends where one is half written (S2AA64)
 *   reg N SIZE V        a register of the SMMU, by offset, of 4 or 8 bytes
 *   cmd LO HI           a command in the queue, and CMDQ_PROD behind it
 *   dma D IOVA LEN GPA  test device D writes LEN bytes; then it looks at GPA
 *   edu read|write IOVA AT LEN    `edu` reads into its buffer at AT, or writes from there
 *   dump                all registers
 */
import { Program } from '../platform.ts';
import { COMMANDS_LOG2, EVENTS_LOG2, LAYOUT, MAP } from './machine.ts';

export type Op =
  | { readonly op: 'store'; readonly at: number; readonly value: bigint }
  | { readonly op: 'ste'; readonly at: number; readonly words: readonly bigint[] }
  | { readonly op: 'reg'; readonly offset: number; readonly size: 4 | 8; readonly value: bigint }
  | { readonly op: 'cmd'; readonly lo: bigint; readonly hi: bigint }
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
  | { readonly op: 'dump' };

export type Script = readonly Op[];

export const [CR0ACK, GERROR, CMDQ_BASE, CMDQ_PROD, CMDQ_CONS] = [0x24, 0x60, 0x90, 0x98, 0x9c];
const EVENTQ_BASE = 0xa0;
const EVENTQ_PROD = 0x100a8;
/** Registers are dumped up to here. */
const REGISTER_BYTES = 0xe0;

const REQUEST = [
  [EVENTQ_PROD, 'EVENTQ_PROD'],
  [GERROR, 'GERROR'],
] as const;

/** Registers that are looked at after each operation: those that it can change. */
const AFTER: Readonly<Partial<Record<Op['op'], readonly (readonly [number, string])[]>>> = {
  reg: [
    [CR0ACK, 'CR0ACK'],
    [GERROR, 'GERROR'],
    [CMDQ_CONS, 'CMDQ_CONS'],
  ],
  cmd: [
    [CMDQ_CONS, 'CMDQ_CONS'],
    [GERROR, 'GERROR'],
  ],
  dma: REQUEST,
  edu: REQUEST,
};

/** A lowered script: what is read, and after which operation. */
export interface Lowered {
  readonly program: Program;
  /** Index of the operation that each value read belongs to; the script's length for what is looked at in the end. */
  readonly ops: readonly number[];
}

export function lower(script: Script): Lowered {
  const program = new Program(MAP);
  const ops: number[] = [];
  const queue = { log2: COMMANDS_LOG2, prod: 0 };
  // Every script has its queues; it may have others.
  program.write64(MAP.smmu + CMDQ_BASE, BigInt(LAYOUT.commands | COMMANDS_LOG2));
  program.write64(MAP.smmu + EVENTQ_BASE, BigInt(LAYOUT.events | EVENTS_LOG2));
  script.forEach((op, i) => {
    lowerOne(program, op, queue);
    for (const [offset, name] of AFTER[op.op] ?? []) program.read32(MAP.smmu + offset, name);
    while (ops.length < program.labels.length) ops.push(i);
  });
  registers(program);
  program.dump(LAYOUT.events, LAYOUT.eventBytes, 'events');
  program.dump(LAYOUT.data, LAYOUT.dataBytes, 'memory');
  while (ops.length < program.labels.length) ops.push(script.length);
  return { program, ops };
}

function registers(program: Program): void {
  for (let at = 0; at < REGISTER_BYTES; at += 4) program.read32(MAP.smmu + at, `register 0x${at.toString(16)}`);
}

function lowerOne(program: Program, op: Op, queue: { log2: number; prod: number }): void {
  switch (op.op) {
    case 'store':
      return program.write64(op.at, op.value);
    case 'ste':
      return op.words.forEach((word, i) => program.write64(op.at + 8 * i, word));
    case 'reg':
      if (op.offset === CMDQ_BASE) queue.log2 = Number(op.value & 0x1fn);
      if (op.offset === CMDQ_PROD) queue.prod = Number(op.value);
      if (op.size === 8) return program.write64(MAP.smmu + op.offset, op.value);
      return program.write32(MAP.smmu + op.offset, Number(op.value));
    case 'cmd': {
      const at = LAYOUT.commands + 16 * (queue.prod & ((1 << queue.log2) - 1));
      program.write64(at, op.lo);
      program.write64(at + 8, op.hi);
      queue.prod = (queue.prod + 1) & ((2 << queue.log2) - 1);
      return program.write32(MAP.smmu + CMDQ_PROD, queue.prod);
    }
    case 'dma':
      return program.testdev(op.device, op.iova, op.length, op.gpa, 'RESULT');
    case 'edu':
      return program.edu(op.write, op.iova, op.inside, op.length);
    case 'dump':
      return registers(program);
  }
}

const hex = (value: bigint | number) => `0x${value.toString(16)}`;

export function print(op: Op): string {
  switch (op.op) {
    case 'store':
      return `store ${hex(op.at)} ${hex(op.value)}`;
    case 'ste':
      return `ste ${hex(op.at)} ${op.words.map(hex).join(' ')}`;
    case 'reg':
      return `reg ${hex(op.offset)} ${op.size} ${hex(op.value)}`;
    case 'cmd':
      return `cmd ${hex(op.lo)} ${hex(op.hi)}`;
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
const COUNT: Readonly<Record<string, number>> = { store: 2, ste: 5, reg: 3, cmd: 2, dma: 4, edu: 4, dump: 0 };

function parseOne([name, ...rest]: string[]): Op | null {
  if (COUNT[name] !== rest.length) return null;
  const values = rest.map((word) => (/^(0x[0-9a-f]+|\d+)$/.test(word) ? BigInt(word) : null));
  const [a, b, c, d] = values;
  if (name === 'edu') {
    if ((rest[0] !== 'read' && rest[0] !== 'write') || b === null || c === null || d === null) return null;
    return { op: 'edu', write: rest[0] === 'write', iova: b, inside: Number(c), length: Number(d) };
  }
  if (values.includes(null)) return null;
  if (name === 'ste') return { op: 'ste', at: Number(a), words: values.slice(1) as bigint[] };
  const [v, w, x, y] = [a, b, c, d] as bigint[];
  if (name === 'store') return { op: 'store', at: Number(v), value: w };
  if (name === 'reg') return { op: 'reg', offset: Number(v), size: w === 8n ? 8 : 4, value: x };
  if (name === 'cmd') return { op: 'cmd', lo: v, hi: w };
  if (name === 'dma') return { op: 'dma', device: Number(v), iova: w, length: Number(x), gpa: y };
  return { op: 'dump' };
}
