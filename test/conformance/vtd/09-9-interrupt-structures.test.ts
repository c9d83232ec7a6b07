import { describe, expect, test } from 'vitest';
import { decode, encode } from '../../../src/bits/index.ts';
import {
  COMPATIBILITY_ADDRESS,
  COMPATIBILITY_DATA,
  IEC_INV_DSC,
  IRTE,
  IRTE_POSTED,
  PID,
  REMAPPABLE_ADDRESS,
  REMAPPABLE_DATA,
} from '../../../src/iommu/vtd/index.ts';
import { entry, InterruptBench, iecInv, remappable } from './interrupt-bench.ts';

/** An entry and descriptors that Linux shows in its documentation of `dmar_translation_struct` and `ir_translation_struct`. */
const FIXTURE = [0x0000_0080_0024_000dn, 0x0000_0000_0004_0050n] as const;

describe('9.9 the entry that Linux documents', () => {
  test('its fields', () => {
    expect(decode(IRTE, ...FIXTURE)).toMatchObject({
      P: 1,
      FPD: 0,
      DM: 1,
      RH: 1,
      TM: 0,
      DLM: 0,
      IM: 0,
      V: 0x24,
      DST: 0x80,
    });
    expect(decode(IRTE, ...FIXTURE)).toMatchObject({ SID: 0x50, SQ: 0, SVT: 1 });
  });

  test('it remaps 00:0a.0 in x2APIC mode; in xAPIC mode its destination is reserved', () => {
    const bench = new InterruptBench({ extended: true }).remap();
    bench.setEntry(1, FIXTURE);
    expect(bench.interrupt(0x50, remappable(1))).toEqual({ address: 0xfee8000cn, data: 0x4024 });
    expect(bench.interrupt(0x51, remappable(1))).toEqual({ fault: 0x26 });
    const xapic = new InterruptBench().remap();
    xapic.setEntry(1, FIXTURE);
    expect(xapic.interrupt(0x50, remappable(1))).toEqual({ fault: 0x24 });
  });
});

describe('every bit where the specification has it', () => {
  test('5.1.2 requests', () => {
    expect(encode(REMAPPABLE_ADDRESS, { ID: 0xfee, HANDLE: 0x7fff, HANDLE_15: 1, SHV: 1 })).toEqual([0xfeeffffcn]);
    expect(encode(REMAPPABLE_ADDRESS, { HANDLE: 5 })).toEqual([BigInt(remappable(5))]);
    expect(encode(REMAPPABLE_DATA, { SUBHANDLE: 0xffff })).toEqual([0xffffn]);
    expect([...REMAPPABLE_DATA.reserved].map((half) => half >>> 0)).toEqual([0xffff0000]);
    expect(encode(COMPATIBILITY_ADDRESS, { DEST: 0xff, RH: 1, DM: 1 })).toEqual([0xfeeff00cn]);
    expect(encode(COMPATIBILITY_DATA, { V: 0x51, DLM: 7, LEVEL: 1, TM: 1 })).toEqual([0xc751n]);
  });

  test('9.9 an entry that remaps', () => {
    const all = {
      P: 1,
      FPD: 1,
      DM: 1,
      RH: 1,
      TM: 1,
      DLM: 7,
      IM: 1,
      V: 0xff,
      DST: 0xffffffff,
      SID: 0xffff,
      SQ: 3,
      SVT: 3,
    };
    expect(encode(IRTE, all)).toEqual([0xffff_ffff_00ff_80ffn, 0xf_ffffn]);
    const some = { p: 1, dm: 1, dlm: 5, vector: 0x12, dst: 0x3400, sid: 0x5678, sq: 2, svt: 1 };
    const same = { P: 1, DM: 1, DLM: 5, V: 0x12, DST: 0x3400, SID: 0x5678, SQ: 2, SVT: 1 };
    expect(encode(IRTE, same)).toEqual(entry(some));
    expect([...IRTE.reserved].map((half) => half >>> 0)).toEqual([0xff007000, 0, 0xfff00000, 0xffffffff]);
  });

  test('9.10 an entry that posts', () => {
    const all = { P: 1, FPD: 1, URG: 1, VV: 0xff, PDAL: 0x3ffffff, PDAH: 0xffffffff, SID: 0xffff, SQ: 3, SVT: 3 };
    expect(encode(IRTE_POSTED, all)).toEqual([0xffff_ffc0_00ff_c003n, 0xffff_ffff_000f_ffffn]);
    expect([...IRTE_POSTED.reserved].map((half) => half >>> 0)).toEqual([0xff0030fc, 0x3f, 0xfff00000, 0]);
  });

  test('9.11 a posted interrupt descriptor', () => {
    const words = encode(PID, { PIR_1: 1n << 3n, ON: 1, SN: 1, NV: 0xff, NDST: 0xffffffff });
    expect(words).toEqual([0n, 8n, 0n, 0n, 0xffff_ffff_00ff_0003n, 0n, 0n, 0n]);
  });

  test('6.5.2.8 the invalidation descriptor', () => {
    expect(encode(IEC_INV_DSC, { G: 1, IM: 31, IIDX: 0xffff })).toEqual([...iecInv(1, 0xffff, 31)]);
    expect(encode(IEC_INV_DSC, {})).toEqual([4n, 0n]);
    expect(encode(IEC_INV_DSC, { G: 1 })).toEqual([0x14n, 0n]);
  });
});

test.todo('5.2 posted interrupts (CAP.PI): the descriptor’s update, notification, 0x27 and 0x28');
