import { describe, expect, test } from 'vitest';
import { agrees, inOrder, testDeclarations } from '../../../test/second-source.ts';
import { encode, encodeHalves, reservedSet, toHalves } from '../../bits/index.ts';
import * as commands from './commands.ts';

const { CMD_ATC_INV, CMD_CFGI_ALL, CMD_CFGI_CD, CMD_CFGI_CD_ALL, CMD_CFGI_STE, CMD_CFGI_STE_RANGE } = commands;
const { CMD_CFGI_VMS_PIDM, CMD_PREFETCH_ADDR, CMD_PRI_RESP, CMD_RESUME, CMD_SYNC } = commands;
const { COMMANDS, UNDECLARED_COMMANDS, commandAt } = commands;

testDeclarations(commands);

/** SmmuV3Registers.h of Microsoft's UEFI driver (BSD-2-Clause-Patent): members in their order, under the specification's names. */
describe('a second source: bit-fields of a UEFI driver (SMMUv3.2 generation)', () => {
  const head = '_:8 _:2 SSec:1';

  test('configuration', () => {
    agrees(CMD_CFGI_STE, inOrder(`${head} _:21 StreamID:32 Leaf:1 _:63`));
    agrees(CMD_CFGI_STE_RANGE, inOrder(`${head} _:21 StreamID:32 Range:5 _:59`));
    agrees(CMD_CFGI_CD, inOrder(`${head} _:1 SubstreamID:20 StreamID:32 Leaf:1 _:63`));
    agrees(CMD_CFGI_CD_ALL, inOrder(`${head} _:21 StreamID:32 _:64`));
    agrees(CMD_CFGI_VMS_PIDM, inOrder(`${head} _:21 VMID:16 _:16 _:64`));
    agrees(CMD_CFGI_ALL, inOrder(`${head} _:21 IGN_63_32:32 Range:5 _:59`));
  });

  test('TLB invalidation without an address', () => {
    const vmid = inOrder('_:32 VMID:16 _:16 _:64');
    for (const of of [commands.CMD_TLBI_NH_ALL, commands.CMD_TLBI_S12_VMALL]) agrees(of, vmid);
    agrees(commands.CMD_TLBI_NH_ASID, inOrder('_:32 VMID:16 ASID:16 _:64'));
    agrees(commands.CMD_TLBI_EL2_ASID, inOrder('_:48 ASID:16 _:64'));
    for (const of of [commands.CMD_TLBI_EL2_ALL, commands.CMD_TLBI_NSNH_ALL]) agrees(of, {});
  });

  test('TLB invalidation by address: SCALE has a bit less there, an IPA ends four bits earlier, TTL128 came later', () => {
    const range = (tail: string) => inOrder(`_:12 NUM:5 _:3 SCALE:5 _:7 ${tail}`);
    const expected = (tail: string, ipa = false) => {
      const table = range(tail);
      const [hi, lo] = table.Address;
      return { ...table, SCALE: [25, 20], Address: [hi + (ipa ? 4 : 0), lo] } as const;
    };
    const va = 'Leaf:1 _:7 TTL:2 TG:2 Address:52';
    agrees(commands.CMD_TLBI_NH_VA, expected(`VMID:16 ASID:16 ${va}`), ['TTL128']);
    agrees(commands.CMD_TLBI_NH_VAA, expected(`VMID:16 _:16 ${va}`), ['TTL128']);
    agrees(commands.CMD_TLBI_EL2_VA, expected(`_:16 ASID:16 ${va}`), ['TTL128']);
    agrees(commands.CMD_TLBI_EL2_VAA, expected(`_:32 ${va}`), ['TTL128']);
    const s2 = expected('VMID:16 _:16 Leaf:1 _:7 TTL:2 TG:2 Address:40 _:12', true);
    agrees(commands.CMD_TLBI_S2_IPA, s2, ['TTL128']);
  });

  test('stalls and completion', () => {
    agrees(CMD_RESUME, inOrder(`${head} _:1 Ac:1 Ab:1 _:18 StreamID:32 STAG:16 _:48`));
    const sync = inOrder('_:12 CS:2 _:8 MSH:2 MSIAttr:4 _:4 MSIData:32 _:2 MSIAddress:50 _:12');
    agrees(CMD_SYNC, { ...sync, MSIAddress: [sync.MSIAddress[0] + 4, sync.MSIAddress[1]] });
  });
});

/** Linux numbers the bits of a doubleword: [dw, hi, lo]. */
test.each([
  [CMD_PREFETCH_ADDR, 'StreamID', 0, 63, 32],
  [CMD_PREFETCH_ADDR, 'Size', 1, 4, 0],
  [CMD_PREFETCH_ADDR, 'Address', 1, 63, 12],
  [CMD_ATC_INV, 'SSV', 0, 11, 11],
  [CMD_ATC_INV, 'SubstreamID', 0, 31, 12],
  [CMD_ATC_INV, 'StreamID', 0, 63, 32],
  [CMD_ATC_INV, 'Global', 0, 9, 9],
  [CMD_ATC_INV, 'Size', 1, 5, 0],
  [CMD_ATC_INV, 'Address', 1, 63, 12],
  [CMD_PRI_RESP, 'SubstreamID', 0, 31, 12],
  [CMD_PRI_RESP, 'StreamID', 0, 63, 32],
  [CMD_PRI_RESP, 'PRGIndex', 1, 8, 0],
  [CMD_PRI_RESP, 'Resp', 1, 13, 12],
] as const)("Linux's %o.%s", (of, key, dw, hi, lo) => {
  expect(of.fields).toMatchObject({ [key]: { hi: 64 * dw + hi, lo: 64 * dw + lo } });
});

test("opcodes: the UEFI driver's, and Linux's and QEMU's beyond them", () => {
  const names = Object.fromEntries(Object.entries(COMMANDS).map(([opcode, { name }]) => [name, Number(opcode)]));
  expect(names).toMatchObject({
    ...{ CMD_PREFETCH_CONFIG: 1, CMD_PREFETCH_ADDR: 2, CMD_CFGI_STE: 3, CMD_CFGI_STE_RANGE: 4, CMD_CFGI_CD: 5 },
    ...{
      CMD_CFGI_CD_ALL: 6,
      CMD_CFGI_VMS_PIDM: 7,
      CMD_TLBI_NH_ALL: 0x10,
      CMD_TLBI_NH_ASID: 0x11,
      CMD_TLBI_NH_VA: 0x12,
    },
    ...{ CMD_TLBI_NH_VAA: 0x13, CMD_TLBI_EL3_ALL: 0x18, CMD_TLBI_EL3_VA: 0x1a, CMD_TLBI_EL2_ALL: 0x20 },
    ...{ CMD_TLBI_EL2_ASID: 0x21, CMD_TLBI_EL2_VA: 0x22, CMD_TLBI_EL2_VAA: 0x23, CMD_TLBI_S12_VMALL: 0x28 },
    ...{ CMD_TLBI_S2_IPA: 0x2a, CMD_TLBI_NSNH_ALL: 0x30, CMD_ATC_INV: 0x40, CMD_PRI_RESP: 0x41, CMD_RESUME: 0x44 },
    ...{ CMD_STALL_TERM: 0x45, CMD_SYNC: 0x46 },
  });
  expect(Object.keys(COMMANDS)).toHaveLength(32);
  for (const [opcode, of] of Object.entries(COMMANDS)) {
    expect(of.width).toBe(8 * commands.COMMAND_BYTES);
    expect(encodeHalves(of, {})[0] & 0xff).toBe(Number(opcode));
    expect(UNDECLARED_COMMANDS[Number(opcode)]).toBeUndefined();
  }
});

describe('the command at a place', () => {
  test('by opcode', () => {
    expect(commandAt(encodeHalves(CMD_SYNC, {}))).toBe(CMD_SYNC);
    expect(commandAt([0, 0, 0, 0, 0x12, 0, 0, 0], 4)).toBe(commands.CMD_TLBI_NH_VA);
  });

  test('all STEs, or so many', () => {
    expect(commandAt(encodeHalves(CMD_CFGI_ALL, {}))).toBe(CMD_CFGI_ALL);
    expect(commandAt(encodeHalves(CMD_CFGI_STE_RANGE, { Range: 30 }))).toBe(CMD_CFGI_STE_RANGE);
    expect(encode(CMD_CFGI_ALL, {})).toEqual([4n, 31n]);
  });

  test('zeros, which Linux found in its queue with CERROR_ILL, are none', () => {
    expect(commandAt([0, 0, 0, 0])).toBeNull();
    expect(commandAt([0x70, 0, 0, 0])).toBeNull();
  });

  test('opcodes without a declaration', () => {
    const names = [0, 0x14, 0x46, 0x70, 0x73, 0x7f, 0x80, 0x8f, 0x90].map(commands.commandName);
    const own = 'implementation defined';
    expect(names).toEqual([null, null, 'CMD_SYNC', 'CMD_DPTI_ALL', 'CMD_DPTI_PA', null, own, own, null]);
  });
});

describe('what drivers write', () => {
  test('Linux: TLBI_NH_VA of a range of 512 pages, SYNC with an MSI, Inner Shareable, Write-Back', () => {
    // 512 pages: (0 + 1) × 2^9.
    const [w0, w1] = encode(commands.CMD_TLBI_NH_VA, {
      ...{ NUM: 0, SCALE: 9, ASID: 5, Leaf: 1, TTL: 3, TG: 1, Address: 0xffff_8000_0000_0000n },
    });
    expect(w0).toBe(0x12n | (9n << 20n) | (5n << 48n));
    expect(w1).toBe(0xffff_8000_0000_0000n | (1n << 10n) | (3n << 8n) | 1n);
    const sync = encode(CMD_SYNC, { CS: 1, MSH: 3, MSIAttr: 15, MSIAddress: 0x8001_0000n });
    expect(sync).toEqual([0x46n | (1n << 12n) | (3n << 22n) | (15n << 24n), 0x8001_0000n]);
  });

  test('reserved bits of CMD_SYNC', () => {
    expect(reservedSet(CMD_SYNC, toHalves([0x46n, 1n]))).toBe(true);
    expect(reservedSet(CMD_SYNC, toHalves([0x46n, 4n]))).toBe(false);
  });
});
