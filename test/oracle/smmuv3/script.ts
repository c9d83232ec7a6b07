/**
 * What the fuzzer makes, the shrinker cuts and a report prints: a list of operations, one line of text each. Lowering turns it into a program of accesses
 * with everything that is compared, the same for both back ends.
 */
import type { Lowered, Lowering } from '../common-operations.ts';
import { COMMON_OPERATIONS, lowerCommon, lowerScript } from '../common-operations.ts';
import { Program } from '../platform.ts';
import type { OpOf } from '../script-text.ts';
import { ADDRESS, scriptText, several, WORD } from '../script-text.ts';
import { COMMANDS_LOG2, EVENTS_LOG2, LAYOUT, MAP } from './machine.ts';

/**
 *   ste A W0 W1 W2 W3   the words of an STE that count: never apart, as QEMU ends where one is half written (S2AA64)
 *   cmd LO HI           a command in the queue, and CMDQ_PROD behind it
 */
const OPERATIONS = {
  ...COMMON_OPERATIONS,
  ste: { at: ADDRESS, words: several(4) },
  cmd: { lo: WORD, hi: WORD },
} as const;

export type Op = OpOf<typeof OPERATIONS>;

export type Script = readonly Op[];

export const { parse, print } = scriptText(OPERATIONS);

export const [CR0ACK, GERROR, CMDQ_BASE, CMDQ_PROD, CMDQ_CONS] = [0x24, 0x60, 0x90, 0x98, 0x9c];
const EVENTQ_BASE = 0xa0;
const EVENTQ_PROD = 0x100a8;
/** Registers are dumped up to here. */
const REGISTER_BYTES = 0xe0;

const REQUEST = [
  [EVENTQ_PROD, 'EVENTQ_PROD'],
  [GERROR, 'GERROR'],
] as const;

const AFTER: Lowering<Op>['after'] = {
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

export function lower(script: Script): Lowered {
  const program = new Program(MAP);
  const queue = { log2: COMMANDS_LOG2, prod: 0 };
  // Every script has its queues; it may have others.
  program.write64(MAP.smmu + CMDQ_BASE, BigInt(LAYOUT.commands | COMMANDS_LOG2));
  program.write64(MAP.smmu + EVENTQ_BASE, BigInt(LAYOUT.events | EVENTS_LOG2));
  return lowerScript(program, script, {
    registers: MAP.smmu,
    after: AFTER,
    one: (op) => lowerOne(program, op, queue),
    end: () => {
      registers(program);
      program.dump(LAYOUT.events, LAYOUT.eventBytes, 'events');
      program.dump(LAYOUT.data, LAYOUT.dataBytes, 'memory');
    },
  });
}

function registers(program: Program): void {
  for (let at = 0; at < REGISTER_BYTES; at += 4) program.read32(MAP.smmu + at, `register 0x${at.toString(16)}`);
}

function lowerOne(program: Program, op: Op, queue: { log2: number; prod: number }): void {
  switch (op.op) {
    case 'ste':
      return op.words.forEach((word, i) => program.write64(op.at + 8 * i, word));
    case 'reg':
      if (op.offset === CMDQ_BASE) queue.log2 = Number(op.value & 0x1fn);
      if (op.offset === CMDQ_PROD) queue.prod = Number(op.value);
      return lowerCommon(program, op, MAP.smmu);
    case 'cmd': {
      const at = LAYOUT.commands + 16 * (queue.prod & ((1 << queue.log2) - 1));
      program.write64(at, op.lo);
      program.write64(at + 8, op.hi);
      queue.prod = (queue.prod + 1) & ((2 << queue.log2) - 1);
      return program.write32(MAP.smmu + CMDQ_PROD, queue.prod);
    }
    case 'dump':
      return registers(program);
    default:
      return lowerCommon(program, op, MAP.smmu);
  }
}
