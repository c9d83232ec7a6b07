import { describe, expect, test } from 'vitest';
import { maskFor, reservedOf } from '../../../test/declarations.ts';
import { agrees, testDeclarations } from '../../../test/second-source.ts';
import { decode, encode, encode64, high, low, reservedSet, toHalves } from '../../bits/index.ts';
import * as interrupts from './interrupt-structures.ts';
import * as pages from './page-request-structures.ts';
import * as structures from './structures.ts';

const { DTE, GCR3_ENTRY, GUEST_LARGE_PTE, GUEST_PDE, GUEST_PTE, PDE, PTE, gcr3TableRoot, isLeaf, pageBits } =
  structures;
const { GA_LOG_ENTRY, IRTE, IRTE_128, IRTE_GUEST } = interrupts;
const { PAGE_SERVICE_REQUEST } = pages;

testDeclarations({ structures, interrupts, pages });

const one = (n: number): [number, number] => [n, n];

describe('device table entry', () => {
  test("Linux's amd_iommu_types.h", () => {
    agrees(
      DTE,
      {
        V: one(0),
        TV: one(1),
        HAD: [8, 7],
        Mode: [11, 9],
        HostPageTableRoot: [51, 12],
        PPR: one(0x34),
        GIoV: one(54),
        GV: one(55),
        GLX: [57, 56],
        GCR3TableRoot_14_12: [60, 58],
        IR: one(0x3d),
        IW: one(0x3e),
        DomainID: [64 + 15, 64],
        GCR3TableRoot_30_15: [64 + 31, 64 + 16],
        I: one(0x60),
        SE: one(0x61),
        SA: one(0x62),
        IoCtl: [0x64, 0x63],
        EX: one(0x67),
        SysMgt: [0x69, 0x68],
        GCR3TableRoot_51_31: [127, 64 + 43],
        IV: one(0x80),
        IntTabLen: [128 + 4, 128 + 1],
        InterruptTableRoot: [128 + 51, 128 + 6],
        GuestPagingMode: [128 + 55, 128 + 54],
        INITPass: one(0xb8),
        EIntPass: one(0xb9),
        NMIPass: one(0xba),
        IntCtl: [128 + 61, 128 + 60],
        Lint0Pass: one(0xbe),
        Lint1Pass: one(0xbf),
      },
      [
        ...['GPRP', 'Cache', 'SD', 'SATS', 'IG', 'HPTMode', 'vImuEn', 'GDeviceID', 'GuestID', 'IGN_245', 'AttrV'],
        ...['Mode0FC', 'SnoopAttribute'],
      ],
    );
  });

  test('reserved bits of QEMU, which takes bit 245 for one', () => {
    const words = [0x8000_0000_0000_007cn, 0n, 0x0030_0000_0000_0000n, 0x001f_0000_0000_7fffn];
    expect(reservedOf(DTE)).toBe(words.reduceRight((sum, word) => (sum << 64n) | word, 0n));
  });

  test('of a laptop, that the unit called illegal', () => {
    const words = [0x7d90000000000003n, 0x0000100103fc0009n, 0x2000000117840013n, 0n];
    const dte = decode(DTE, ...words);
    expect(dte).toMatchObject({ V: 1, TV: 1, Mode: 0, PPR: 1, GV: 1, GLX: 1, IR: 1, IW: 1, DomainID: 9, I: 1 });
    expect(dte).toMatchObject({ IV: 1, IntTabLen: 9, IG: 0, InterruptTableRoot: 0x117840000n, IntCtl: 2 });
    expect(DTE.IntTabLen.values?.[9]).toBe('512 entries');
    expect(gcr3TableRoot(dte)).toBe(0x101fe7000n);
    expect(reservedSet(DTE, toHalves(words))).toBe(false);
    expect(encode(DTE, dte)).toEqual(words);
  });

  test('of a server with SNP: no translation in use, though TV = 1', () => {
    const words = [0x6000000000000003n, 1n, 0x2000003088b3e013n, 0n];
    expect(decode(DTE, ...words)).toMatchObject({ V: 1, TV: 1, Mode: 0, GV: 0, HostPageTableRoot: 0n, DomainID: 1 });
    expect(decode(DTE, ...words).InterruptTableRoot).toBe(0x3088b3e000n);
  });
});

describe('host paging entries', () => {
  test("Linux's and VirtualBox's masks", () => {
    expect(maskFor(PTE, 'PR', 'D', 'U', 'FC', 'IR', 'IW')).toBe((0x1fn << 59n) - (1n << 63n) + 0x41n);
    expect([maskFor(PTE, 'Address'), maskFor(PDE, 'Address')]).toEqual([0xffffffffff000n, 0xffffffffff000n]);
    expect([PDE.NextLevel.hi, PDE.NextLevel.lo]).toEqual([11, 9]);
    expect(reservedOf(PDE)).toBe(0x1ff0_0000_0000_0000n);
    expect(reservedOf(PTE)).toBe(0x07f0_0000_0000_0000n);
  });

  test('sizes of pages', () => {
    expect([0, 1, 2, 6, 7].map(isLeaf)).toEqual([true, false, false, false, true]);
    expect([1, 2, 3].map((level) => pageBits(0, 0, 0, level))).toEqual([12, 21, 30]);
    // As Linux makes them: 64 KiB at 2 GiB, and 4 GiB at 4 GiB.
    const small = encode64(PTE, { PR: 1, NextLevel: 7, Address: 0x8000_7000n, IR: 1, IW: 1, FC: 1 });
    expect(pageBits(low(small), high(small), 7, 1)).toBe(16);
    const large = encode64(PTE, { PR: 1, NextLevel: 7, Address: 0x1_7fff_f000n, IR: 1 });
    expect(pageBits(low(large), high(large), 7, 3)).toBe(32);
  });
});

describe('guest paging entries are those of AMD64', () => {
  const shared = { P: one(0), RW: one(1), US: one(2), PWT: one(3), PCD: one(4), A: one(5), NX: one(63) };

  test('bits', () => {
    agrees(GUEST_PDE, { ...shared, PS: one(7), Address: [51, 12] }, ['IGN_6', 'IGN_11_8', 'IGN_62_52']);
    const leaf = { ...shared, D: one(6), G: one(8) };
    const ignored = ['IGN_11_9', 'IGN_62_52'];
    agrees(GUEST_PTE, { ...leaf, PAT: one(7), Address: [51, 12] }, ignored);
    agrees(GUEST_LARGE_PTE, { ...leaf, PS: one(7), PAT: one(12), Address: [51, 21] }, ignored);
    expect(reservedOf(GUEST_LARGE_PTE)).toBe(0x1f_e000n);
    agrees(GCR3_ENTRY, { V: one(0), CR3: [51, 12] });
  });
});

describe('interrupts', () => {
  test("FreeBSD's and Linux's entries", () => {
    const shared = { RemapEn: one(0), SupIOPF: one(1) };
    const host = { ...shared, IntType: [4, 2], RqEoi: one(5), DM: one(6) } as const;
    agrees(IRTE, { ...host, Destination: [15, 8], Vector: [23, 16] });
    const wide = { Destination_23_0: [31, 8], Vector: [71, 64], Destination_31_24: [127, 120] } as const;
    agrees(IRTE_128, { ...host, ...wide });
    agrees(IRTE_GUEST, {
      ...{ ...shared, ...wide },
      GALogIntr: one(2),
      GAPPIDis: one(5),
      IsRun: one(6),
      GATag: [63, 32],
      GuestVirtualAPICTableRoot: [64 + 51, 64 + 12],
    });
    agrees(GA_LOG_ENTRY, { GATag: [31, 0], DeviceID: [47, 32], EntryType: [63, 60] });
    expect([IRTE.GuestMode.fixed, IRTE_128.GuestMode.fixed, IRTE_GUEST.GuestMode.fixed]).toEqual([0, 0, 1]);
  });

  test('vector 0x22 to the APIC 3, as QEMU reads it', () => {
    const [word] = encode(IRTE, { RemapEn: 1, Destination: 3, Vector: 0x22 });
    expect(word).toBe(0x0022_0301n);
    expect(reservedOf(IRTE)).toBe(0xff00_0000n);
  });
});

/** Linux takes the tag as 10 bits, 41:32, and the flags as 12, 59:48: read 4, write 0x20, user 0x40, reserved 0x80, PASID 0x100. */
test('page request', () => {
  const flag = (mask: number) => one(48 + Math.log2(mask));
  agrees(
    PAGE_SERVICE_REQUEST,
    {
      DeviceID: [15, 0],
      PASID_15_0: [31, 16],
      PPRTag_group: [40, 32],
      PPRTag_last: one(41),
      PASID_19_16: [45, 42],
      Execute: flag(0x002),
      Read: flag(0x004),
      Write: flag(0x020),
      US: flag(0x040),
      RZ: flag(0x080),
      GN: flag(0x100),
      Address: [127, 76],
    },
    ['IGN_75_64'],
  );
  expect(PAGE_SERVICE_REQUEST.PPRCode.fixed).toBe(1);
});
