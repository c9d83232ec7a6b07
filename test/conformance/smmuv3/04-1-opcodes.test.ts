/** SMMUv3 4.1.1, 4.1.3, 4.1.5, 4.1.6, 7.1: of all 256 opcodes which are commands of the Non-secure queue, and which of their bits are reserved. */
import { describe, expect, test } from 'vitest';
import type { Options } from './interface-bench.ts';
import { CMDQ, InterfaceBench, REG } from './interface-bench.ts';
import { hex, titled } from './titled.ts';

const [ILL, ATS_AND_PRI] = [1, { idr0: { ATS: 1, PRI: 1 } }];
const SYNC = 0x46n;

const HYP: Options = { idr0: { Hyp: 1 } };
const STALLS = { idr0: { STALL_MODEL: 0 } };
/** What an SMMU must have for a command, so that it is none of what all take. */
function neededBy(opcode: number): Options {
  if (opcode >= 0x20 && opcode <= 0x23) return HYP;
  if (opcode === 0x40 || opcode === 0x41) return ATS_AND_PRI;
  return opcode === 0x44 || opcode === 0x45 ? STALLS : {};
}

/** Executes one command of which nothing is left. @returns CMDQ_CONS.ERR, or 0 */
class Queue {
  readonly bench: InterfaceBench;

  /** @param asked what has to be there: of all that is, where nothing is said of what there is */
  constructor(options?: Options, asked: Options = options ?? {}) {
    this.bench = new InterfaceBench(options ?? ATS_AND_PRI, asked).start();
  }

  /** An illegal command is replaced by a CMD_SYNC afterwards. */
  error(low: bigint, high = 0n): number {
    const { bench } = this;
    const { rd } = bench.commandState;
    bench.submit([low, high]);
    const { err, active, rd: now } = bench.commandState;
    if (!active) {
      expect(now, `${hex(low)}`).not.toBe(rd);
      return 0;
    }
    expect(now, `${hex(low)}`).toBe(rd);
    bench.poke(CMDQ + 16 * (rd % 16), SYNC);
    bench.poke(CMDQ + 16 * (rd % 16) + 8, 0n);
    bench.write32(REG.GERRORN, bench.read32(REG.GERROR));
    expect(bench.commandState.active).toBe(false);
    return err;
  }
}

/** Commands that an SMMU with everything of this model takes from its Non-secure queue (4.1.1), and what it must have for them. */
const COMMANDS: [opcode: number, name: string, without: Options | null][] = [
  [0x01, 'CMD_PREFETCH_CONFIG', null],
  [0x02, 'CMD_PREFETCH_ADDR', null],
  [0x03, 'CMD_CFGI_STE', null],
  [0x04, 'CMD_CFGI_STE_RANGE', null],
  [0x05, 'CMD_CFGI_CD', { idr0: { S1P: 0, ASID16: 0, CD2L: 0, Hyp: 0 } }],
  [0x06, 'CMD_CFGI_CD_ALL', { idr0: { S1P: 0, ASID16: 0, CD2L: 0, Hyp: 0 } }],
  [0x10, 'CMD_TLBI_NH_ALL', { idr0: { S1P: 0, ASID16: 0, CD2L: 0, Hyp: 0 } }],
  [0x11, 'CMD_TLBI_NH_ASID', { idr0: { S1P: 0, ASID16: 0, CD2L: 0, Hyp: 0 } }],
  [0x12, 'CMD_TLBI_NH_VA', { idr0: { S1P: 0, ASID16: 0, CD2L: 0, Hyp: 0 } }],
  [0x13, 'CMD_TLBI_NH_VAA', { idr0: { S1P: 0, ASID16: 0, CD2L: 0, Hyp: 0 } }],
  [0x20, 'CMD_TLBI_EL2_ALL', { idr0: { Hyp: 0 } }],
  [0x21, 'CMD_TLBI_EL2_ASID', { idr0: { Hyp: 0 } }],
  [0x22, 'CMD_TLBI_EL2_VA', { idr0: { Hyp: 0 } }],
  [0x23, 'CMD_TLBI_EL2_VAA', { idr0: { Hyp: 0 } }],
  [0x28, 'CMD_TLBI_S12_VMALL', { idr0: { S2P: 0, VMID16: 0 } }],
  [0x2a, 'CMD_TLBI_S2_IPA', { idr0: { S2P: 0, VMID16: 0 } }],
  [0x30, 'CMD_TLBI_NSNH_ALL', null],
  [0x40, 'CMD_ATC_INV', {}],
  [0x41, 'CMD_PRI_RESP', { idr0: { ATS: 1 } }],
  [0x44, 'CMD_RESUME', { idr0: { STALL_MODEL: 1 }, idr5: { STALL_MAX: 0 } }],
  [0x45, 'CMD_STALL_TERM', { idr0: { STALL_MODEL: 1 }, idr5: { STALL_MAX: 0 } }],
  [0x46, 'CMD_SYNC', null],
];

describe('4.1.1 opcodes', () => {
  const known = new Set(COMMANDS.map(([opcode]) => opcode));
  const rows = Array.from({ length: 16 }, (_, high): [number] => [high * 16]);
  test.each(titled(rows, (first) => `${hex(first)} – ${hex(first + 15)}: all but its commands are CERROR_ILL`))(
    '%s',
    (_, first) => {
      const queue = new Queue(
        undefined,
        first === 0x20 ? HYP : first === 0x40 ? { idr0: { ...ATS_AND_PRI.idr0, ...STALLS.idr0 } } : {},
      );
      for (let opcode = first; opcode < first + 16; opcode++)
        expect(queue.error(BigInt(opcode)), hex(opcode)).toBe(known.has(opcode) ? 0 : ILL);
    },
  );

  test.each(COMMANDS.filter(([, , without]) => without !== null))(
    'opcode %i, %s, needs what its clause says',
    (opcode, _, without) => {
      expect(new Queue(without as Options).error(BigInt(opcode))).toBe(ILL);
      expect(new Queue(undefined, neededBy(opcode)).error(BigInt(opcode))).toBe(0);
    },
  );

  test('4.3.5 CMD_CFGI_VMS_PIDM, 4.6 CMD_DPTI_*: without MPAM, without DPT', () => {
    const queue = new Queue();
    expect([0x07n, 0x70n, 0x73n].map((opcode) => queue.error(opcode))).toEqual([ILL, ILL, ILL]);
  });

  test('4.4: commands of the Secure queue', () => {
    const queue = new Queue();
    for (const opcode of [0x18n, 0x1an, 0x50n, 0x51n, 0x52n, 0x53n, 0x58n, 0x5an, 0x60n])
      expect(queue.error(opcode), hex(opcode)).toBe(ILL);
  });
});

const SSEC = 1n << 10n;

test.each(COMMANDS.filter(([opcode]) => opcode <= 6 || opcode === 0x44 || opcode === 0x45))(
  '4.1.6 SSec of opcode %i, %s, is CERROR_ILL',
  (opcode) => {
    const queue = new Queue(undefined, neededBy(opcode));
    expect([queue.error(BigInt(opcode)), queue.error(BigInt(opcode) | SSEC)]).toEqual([0, ILL]);
  },
);

/**
 * Bits that a command has, besides its opcode and SSec: of addresses to bit 55 of IPAs and physical ones, to bit 63 of others. Of CMD_PREFETCH_ADDR
 * not all are known here.
 */
const [STREAM, SUBSTREAM, SSV] = [0xffff_ffffn << 32n, 0xffff_f000n, 1n << 11n];
const [VMID, ASID] = [0xffffn << 32n, 0xffffn << 48n];
const VA = 0xffff_ffff_ffff_f000n;
const IPA = 0x00ff_ffff_ffff_f000n;
/** NUM, SCALE of five bits; Leaf, TTL and TG. */
const RANGE: [bigint, bigint] = [(31n << 12n) | (31n << 20n), 1n | (3n << 8n) | (3n << 10n)];
const BITS: [opcode: number, low: bigint, high: bigint][] = [
  [0x01, STREAM | SUBSTREAM | SSV, 0n],
  [0x03, STREAM, 1n],
  [0x04, STREAM, 31n],
  [0x05, STREAM | SUBSTREAM, 1n],
  [0x06, STREAM, 0n],
  [0x10, VMID, 0n],
  [0x11, VMID | ASID, 0n],
  [0x12, VMID | ASID | RANGE[0], RANGE[1] | VA],
  [0x13, VMID | RANGE[0], RANGE[1] | VA],
  [0x20, 0n, 0n],
  [0x21, ASID, 0n],
  [0x22, ASID | RANGE[0], RANGE[1] | VA],
  [0x23, RANGE[0], RANGE[1] | VA],
  [0x28, VMID, 0n],
  [0x2a, VMID | RANGE[0], RANGE[1] | IPA],
  [0x30, 0n, 0n],
  [0x40, STREAM | SUBSTREAM | SSV | (1n << 9n), 0x3fn | VA],
  [0x41, STREAM | SUBSTREAM | SSV, 0x1ffn | (3n << 12n)],
  [0x44, STREAM | (3n << 12n), 0xffffn],
  [0x45, STREAM, 0n],
  [0x46, (3n << 12n) | (3n << 22n) | (15n << 24n) | (0xffff_ffffn << 32n), 0x00ff_ffff_ffff_fffcn],
];

describe('decision (4.1.5: may be): a reserved bit of a command is CERROR_ILL', () => {
  const nameOf = (opcode: number) => COMMANDS.find(([of]) => of === opcode)?.[1];
  test.each(titled(BITS, (opcode) => `${nameOf(opcode)}: each bit that it has not`))('%s', (_, opcode, low, high) => {
    const queue = new Queue(undefined, neededBy(opcode));
    for (let bit = 8n; bit < 64n; bit++)
      if ((low & (1n << bit)) === 0n && !(bit === 10n))
        expect(queue.error(BigInt(opcode) | (1n << bit)), `bit ${bit}`).toBe(ILL);
    for (let bit = 0n; bit < 64n; bit++)
      if ((high & (1n << bit)) === 0n) expect(queue.error(BigInt(opcode), 1n << bit), `bit ${64n + bit}`).toBe(ILL);
  });

  // Of ranges which bits may be there depends on TG: 04-4-1-ranges.test.ts.
  const free = BITS.filter(([, low, high]) => (low | high) !== 0n && (high & (3n << 10n)) !== 3n << 10n);
  test.each(titled(free, (opcode) => `${nameOf(opcode)}: each bit that it has`))('%s', (_, opcode, low, high) => {
    const queue = new Queue(undefined, neededBy(opcode));
    for (let bit = 8n; bit < 64n; bit++)
      if ((low & (1n << bit)) !== 0n) expect(queue.error(BigInt(opcode) | (1n << bit)), `bit ${bit}`).toBe(0);
    for (let bit = 0n; bit < 64n; bit++)
      if ((high & (1n << bit)) !== 0n) expect(queue.error(BigInt(opcode), 1n << bit), `bit ${64n + bit}`).toBe(0);
  });
});

describe('values that are ILLEGAL', () => {
  test.each([
    [0, 0],
    [1, 0],
    [2, 0],
    [3, ILL],
  ])('4.7.3 CMD_SYNC with CS %i: %i', (cs, error) => {
    expect(new Queue().error(SYNC | (BigInt(cs) << 12n))).toBe(error);
  });

  test.each([
    [0, 0],
    [1, 0],
    [2, 0],
    [3, ILL],
  ])('4.5.2 CMD_PRI_RESP with Resp %i: %i', (resp, error) => {
    expect(new Queue(ATS_AND_PRI).error(0x41n, BigInt(resp) << 12n)).toBe(error);
  });

  test.each([
    [0, 0],
    [51, 0],
    [52, 0],
    [53, ILL],
    [63, ILL],
  ])('4.5.1 CMD_ATC_INV with Size %i (decision: above 52 may be): %i', (size, error) => {
    expect(new Queue(ATS_AND_PRI).error(0x40n, BigInt(size))).toBe(error);
  });

  test.each([
    ['CMD_CFGI_STE', 0x03n],
    ['CMD_CFGI_STE_RANGE', 0x04n],
    ['CMD_CFGI_CD', 0x05n],
    ['CMD_CFGI_CD_ALL', 0x06n],
    ['CMD_PREFETCH_CONFIG', 0x01n],
    ['CMD_STALL_TERM', 0x45n],
  ])('4.1.7 a StreamID out of range is no error: %s', (_, opcode) => {
    const queue = new Queue({ ...ATS_AND_PRI, idr1: { SIDSIZE: 4 } });
    expect(queue.error(opcode | (0xffff_ffffn << 32n))).toBe(0);
  });

  test('4.1.7, 4.3.3 a SubstreamID out of range is no error', () => {
    const queue = new Queue({ idr1: { SSIDSIZE: 0 } });
    expect(queue.error(0x05n | SUBSTREAM)).toBe(0);
  });
});
