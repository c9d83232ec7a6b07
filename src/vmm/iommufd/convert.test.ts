import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { join, toHalves } from '../../bits/index.ts';
import { COMMANDS, commandName } from '../../iommu/smmuv3/commands.ts';
import type { VsmmuIds } from './convert.ts';
import { CONVERSIONS, convertCommand } from './convert.ts';
import { KERNELS, kernelNamed } from './kernels.ts';
import type { CommandFeatures } from './supported-bits.ts';
import { commandMasks } from './supported-bits.ts';

const OLD = kernelNamed('linux-6.18');
const NEW = kernelNamed('linux-2026-09');
const VMID = 0x2a;
const FULL: CommandFeatures = { rangeInvalidation: true, ds: true, ats: true, asidBits: 16, substreamBits: 20 };
const BARE: CommandFeatures = { rangeInvalidation: false, ds: false, ats: false, asidBits: 8, substreamBits: 0 };

/** Two devices: vStreamIDs 0x10 and 0x11 are StreamIDs 0x108 and 0x200. */
function vsmmu(features = FULL): VsmmuIds {
  const sids = new Map([
    [0x10, 0x108],
    [0x11, 0x200],
  ]);
  return { vmid: VMID, features, masks: commandMasks(features), sidOf: (vsid) => sids.get(vsid) ?? -1 };
}

/** What the words become, or null where the kernel refuses. */
function convert(cmd: readonly [bigint, bigint], kernel = OLD, features = FULL): [bigint, bigint] | null {
  const words = toHalves(cmd);
  if (!convertCommand(words, 0, vsmmu(features), kernel)) {
    expect([...words]).toEqual([...toHalves(cmd)]);
    return null;
  }
  return [join(words[0], words[1]), join(words[2], words[3])];
}

const vmid = BigInt(VMID) << 32n;

describe('each opcode that is taken', () => {
  // Bits from the driver's own masks: VMID 47:32, ASID 63:48, StreamID 63:32, SSV 11, SSID 31:12.
  test.each<[string, [bigint, bigint], [bigint, bigint]]>([
    ['NSNH_ALL becomes NH_ALL of the VMID', [0x30n, 0n], [0x10n | vmid, 0n]],
    ['NH_ALL', [0x10n | (7n << 32n), 0n], [0x10n | vmid, 0n]],
    ['NH_ASID keeps the ASID', [0x11n | (7n << 32n) | (0x55n << 48n), 0n], [0x11n | vmid | (0x55n << 48n), 0n]],
    [
      'NH_VA keeps ASID, leaf and address',
      [0x12n | (7n << 32n) | (0x55n << 48n), 0xffff_1234_5000n | 1n],
      [0x12n | vmid | (0x55n << 48n), 0xffff_1234_5000n | 1n],
    ],
    ['NH_VAA', [0x13n | (7n << 32n), 0x1234_5000n], [0x13n | vmid, 0x1234_5000n]],
    [
      'ATC_INV: vSID to SID, SSV and substream kept',
      [0x40n | (1n << 11n) | (5n << 12n) | (0x10n << 32n), 0x7000n | 52n],
      [0x40n | (1n << 11n) | (5n << 12n) | (0x108n << 32n), 0x7000n | 52n],
    ],
    ['CFGI_CD', [0x05n | (3n << 12n) | (0x11n << 32n), 1n], [0x05n | (3n << 12n) | (0x200n << 32n), 1n]],
    ['CFGI_CD_ALL', [0x06n | (0x10n << 32n), 0n], [0x06n | (0x108n << 32n), 0n]],
  ])('%s', (_, cmd, expected) => {
    for (const kernel of KERNELS) expect(convert(cmd, kernel)).toEqual(expected);
  });

  test('they are eight', () => {
    const taken = CONVERSIONS.flatMap((conversion, opcode) => (conversion === undefined ? [] : [commandName(opcode)]));
    expect(taken).toEqual([
      ...['CMD_CFGI_CD', 'CMD_CFGI_CD_ALL', 'CMD_TLBI_NH_ALL', 'CMD_TLBI_NH_ASID', 'CMD_TLBI_NH_VA'],
      ...['CMD_TLBI_NH_VAA', 'CMD_TLBI_NSNH_ALL', 'CMD_ATC_INV'],
    ]);
  });

  test('every other opcode is refused, SYNC and STE invalidations too', () => {
    for (let opcode = 0; opcode < 256; opcode++) {
      if (CONVERSIONS[opcode] !== undefined) continue;
      for (const kernel of KERNELS)
        expect(convert([BigInt(opcode) | (0x10n << 32n), 0n], kernel), commandName(opcode) ?? '').toBe(null);
    }
    expect(Object.keys(COMMANDS).length).toBeGreaterThan(CONVERSIONS.filter(Boolean).length);
  });

  test('a vStreamID that no vDEVICE has is refused', () => {
    for (const opcode of [0x40n, 0x05n, 0x06n]) expect(convert([opcode | (0x12n << 32n), 0n])).toBe(null);
  });
});

describe('hostile words', () => {
  const word = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });

  test('no guest gets another VMID or a StreamID that is not its own', () => {
    fc.assert(
      fc.property(word, word, fc.constantFrom(...KERNELS), (lo, hi, kernel) => {
        const out = convert([lo, hi], kernel);
        if (out === null) return;
        const opcode = Number(out[0] & 0xffn);
        expect(opcode).not.toBe(0x30);
        if (opcode >= 0x10 && opcode <= 0x13) expect((out[0] >> 32n) & 0xffffn).toBe(BigInt(VMID));
        else expect([0x108n, 0x200n]).toContain(out[0] >> 32n);
      }),
      { seed: 2, numRuns: 2000 },
    );
  });

  test('with all opcodes hit', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0x05n, 0x06n, 0x10n, 0x11n, 0x12n, 0x13n, 0x30n, 0x40n),
        word,
        word,
        (opcode, lo, hi) => {
          const given = (lo & ~0xffn & ~(0xffff_ffffn << 32n)) | opcode | (0x10n << 32n);
          const out = convert([given, hi]);
          expect(out).not.toBe(null);
          // What the kernel does not look at goes to the hardware as it came: reserved bits too.
          const mine = opcode === 0x30n ? 0n : 0xffff_ff00n;
          expect((out as [bigint, bigint])[0] & mine).toBe(given & mine);
          expect((out as [bigint, bigint])[1]).toBe(opcode === 0x30n ? 0n : hi);
        },
      ),
      { seed: 3, numRuns: 500 },
    );
  });
});

describe('a kernel that looks at all bits', () => {
  const refusedBy = (cmd: readonly [bigint, bigint], features = FULL) => {
    expect(convert(cmd, OLD, features)).not.toBe(null);
    return convert(cmd, NEW, features) === null;
  };
  const sid = 0x10n << 32n;

  test.each<[string, [bigint, bigint], CommandFeatures]>([
    ['a reserved bit', [0x11n | (1n << 8n), 0n], FULL],
    ['the Secure bit of CFGI_CD', [0x05n | (1n << 10n) | sid, 0n], FULL],
    ['SSV of CFGI_CD, which has none', [0x05n | (1n << 11n) | sid, 0n], FULL],
    ['a VMID in NSNH_ALL', [0x30n | (1n << 32n), 0n], FULL],
    ['an ASID in NH_ALL', [0x10n | (1n << 48n), 0n], FULL],
    ['an ASID above 8 bits', [0x11n | (0x100n << 48n), 0n], BARE],
    ['a range without RIL', [0x12n | (1n << 12n), 1n << 10n], BARE],
    ['NUM with TG = 0', [0x12n | (1n << 12n), 0n], FULL],
    ['TTL with TG = 0', [0x12n, 3n << 8n], FULL],
    ['TG alone', [0x12n, 1n << 10n], FULL],
    ['TTL 1 of 16 KiB without DS', [0x12n, (2n << 10n) | (1n << 8n)], { ...FULL, ds: false }],
    ['SCALE above 31 without DS', [0x12n | (1n << 25n), 1n << 10n], { ...FULL, ds: false }],
    ['ATC_INV of more than everything', [0x40n | sid, 53n], FULL],
    ['ATC_INV without ATS', [0x40n | sid, 52n], BARE],
    ['a substream without substreams', [0x40n | (1n << 11n) | sid, 0n], { ...FULL, substreamBits: 0 }],
  ])('refuses %s', (_, cmd, features) => {
    expect(refusedBy(cmd, features)).toBe(true);
  });

  test.each<[string, [bigint, bigint], CommandFeatures]>([
    ['an ASID of 8 bits', [0x11n | (0xffn << 48n), 0n], BARE],
    ['a range', [0x12n | (3n << 12n) | (2n << 20n), (1n << 10n) | 0x4000n], FULL],
    ['TTL 1 of 16 KiB with DS', [0x12n, (2n << 10n) | (1n << 8n)], FULL],
    ['one address without RIL', [0x12n, 0x4000n], BARE],
    ['a Global ATC_INV with substream', [0x40n | (1n << 9n) | (1n << 11n) | (1n << 12n) | sid, 52n], FULL],
  ])('takes %s', (_, cmd, features) => {
    expect(refusedBy(cmd, features)).toBe(false);
  });
});
