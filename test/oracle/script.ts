/**
 * What the fuzzer makes, the shrinker cuts and a report prints: a list of operations, one line of text each. Lowering turns it into a
 * program of accesses with everything that is compared, the same for both back ends.
 */
import { GCMD, ICS, IQA, IQH, IQT, IRTA } from '../../src/iommu/vtd/index.ts';
import type { Lowered, Lowering } from './common-operations.ts';
import { COMMON_OPERATIONS, lowerCommon, lowerScript } from './common-operations.ts';
import { MAP, Program, REGISTER_BYTES } from './platform.ts';
import type { OpOf } from './script-text.ts';
import { ADDRESS, COUNT, optional, scriptText, several, WORD } from './script-text.ts';

/**
 *   srtp V              RTADDR, then GCMD.SRTP
 *   sirtp V             IRTA, then GCMD.SIRTP
 *   te 0|1, qie 0|1, ire 0|1, cfi 0|1   GCMD.TE, QIE, IRE, CFI; the others are repeated
 *   inv LO HI [W2 W3]   a descriptor in the queue, and the tail behind it; of 256 bits where IQA says so, the others 0 where they are left out
 *   msi S ADDRESS DATA  sender S sends an interrupt
 *   clear               software takes the fault record and clears the status
 */
const OPERATIONS = {
  ...COMMON_OPERATIONS,
  ...{ srtp: { value: WORD }, sirtp: { value: WORD } },
  ...{ te: { on: COUNT }, qie: { on: COUNT }, ire: { on: COUNT }, cfi: { on: COUNT } },
  inv: { lo: WORD, hi: WORD, upper: optional(several<readonly [bigint, bigint]>(2)) },
  msi: { sender: COUNT, address: ADDRESS, data: ADDRESS },
  clear: {},
} as const;

export type Op = OpOf<typeof OPERATIONS>;

export type Script = readonly Op[];

export const { parse, print } = scriptText(OPERATIONS);

/** Where a script has its queue (QS may be up to 1: two pages), its status words and the pages that DMA reaches. */
export const LAYOUT = { queue: 0x1f0000, status: 0x1f8000, data: 0x200000, dataBytes: 0x10000 } as const;

const FRCD = 0x220;
/** After a request: of the fault record the uppermost word, with F, type and reason, and the lowest, with the page; the status. */
const FAULT = [
  [FRCD + 12, 'FRCD.reason'],
  [FRCD, 'FRCD.FI'],
  [0x34, 'FSTS'],
] as const;

const AFTER: Lowering<Op>['after'] = {
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

export function lower(script: Script): Lowered {
  const program = new Program();
  const state = { te: 0, qie: 0, ire: 0, cfi: 0, tail: 0, queueBytes: 4096, descriptorBytes: 16 };
  return lowerScript(program, script, {
    registers: MAP.iommu,
    after: AFTER,
    one: (op) => lowerOne(program, op, state),
    end: () => {
      program.dump(MAP.iommu, REGISTER_BYTES, 'registers');
      program.messages('messages');
      program.dump(LAYOUT.data, LAYOUT.dataBytes, 'memory');
      program.dump(LAYOUT.status, 0x1000, 'status');
      for (const page of tablePages(script)) program.dump(page, 0x1000, 'tables');
    },
  });
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
    case 'reg':
      if (op.offset === IQA.offset) {
        state.queueBytes = 4096 << Number(op.value & 7n);
        state.descriptorBytes = 16 << (Number(op.value >> BigInt(IQA.DW.lo)) & 1);
      }
      if (op.offset === IQT.offset) state.tail = Number(op.value & 0x7fff0n);
      return lowerCommon(program, op, MAP.iommu);
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
    case 'clear':
      program.dump(MAP.iommu + FRCD, 16, 'FRCD');
      program.write32(MAP.iommu + FRCD + 12, 0x80000000);
      return program.write32(MAP.iommu + 0x34, 0x71);
    case 'dump':
      return program.dump(MAP.iommu, REGISTER_BYTES, 'registers');
    default:
      return lowerCommon(program, op, MAP.iommu);
  }
}
