/** A walk of an SMMUv3 from registers, from an STE and from a CD, as lines give them. */
import { describe, expect, test } from 'vitest';
import { tablesOf } from '../../../../test/explained.ts';
import { WalkRefused, walkAny } from '../../index.ts';

const ask = (text: string, address: bigint, device: string | null = '0x8', pasid: number | null = null) =>
  walkAny(tablesOf(text), { address, device, pasid });

/** A linear table of 2^16 StreamIDs: stream 8 has a first stage of 48 bits, 4 KiB. */
const STREAMS = `SMMU_STRTAB_BASE: 0x4000000043000000
SMMU_STRTAB_BASE_CFG: 0x10
0x43000200: 0x000000004400000b 0x000000012000000c
0x43000210: 0x0 0x0 0x0 0x0
0x43000230: 0x0 0x0
`;
const CONTEXT = `0x44000000: 0x00010205c0803510 0x0000000045000000
0x44000010: 0x0 0x000000000000ff44
0x44000020: 0x0 0x0 0x0 0x0
`;
const PAGES = `0x45000000: 0x0000000045001003
0x45001000: 0x0000000045002003
0x45002008: 0x0000000045003003
0x45002010: 0x0060000048000f41
0x45003018: 0x0060000046003fc3
`;
const ALL = STREAMS + CONTEXT + PAGES;

describe('from STRTAB_BASE', () => {
  test('through stream table, CD and four levels to a page that is read-only', () => {
    const { of, read, steps, write } = ask(ALL, 0x203abcn);
    expect(of).toBe('0x8');
    expect(steps.map(({ address, what }) => [what, address])).toEqual([
      ['STRTAB_BASE', null],
      ['STRTAB_BASE_CFG', null],
      ['STE of 0x8', 0x43000200n],
      ['CD of substream 0x0', 0x44000000n],
      ['stage-1 level-0 descriptor of 0x0', 0x45000000n],
      ['stage-1 level-1 descriptor of 0x0', 0x45001000n],
      ['stage-1 level-2 descriptor of 0x200000', 0x45002008n],
      ['stage-1 level-3 descriptor of 0x203000', 0x45003018n],
    ]);
    expect(read).toEqual({ kind: 'page', address: 0x46003abcn, bytes: 4096 });
    expect(write).toMatchObject({
      kind: 'fault',
      code: { name: 'F_PERMISSION', value: 0x13 },
      why: 'AP lets no write; not recorded (CD.R and S are 0)',
    });
  });

  test.each([
    ['a block of 2 MiB', ALL, 0x412345n, { kind: 'page', address: 0x48012345n, bytes: 2 ** 21 }],
    [
      'a word that is not there',
      ALL,
      0x204000n,
      { kind: 'missing', address: 0x45003020n, what: 'stage-1 level-3 descriptor of 0x204000' },
    ],
    [
      'the upper part, which has no walks',
      ALL,
      0xffff_0000_0000_0000n,
      { kind: 'fault', code: { name: 'F_TRANSLATION' } },
    ],
    ['an SMMU that is off', `${ALL}CR0: 0x0\n`, 0x1234n, { kind: 'passed', address: 0x1234n }],
    ['off, and it aborts', `${ALL}CR0: 0x0\nGBPA: 0x100000\n`, 0x1234n, { kind: 'refused' }],
    [
      'a stream that aborts',
      ALL.replace('4400000b', '44000001'),
      0n,
      { kind: 'refused', text: 'aborted without an event: STE.Config' },
    ],
    ['a stream that bypasses', ALL.replace('4400000b', '44000009'), 0x1234n, { kind: 'passed', address: 0x1234n }],
    [
      'an STE that is not valid',
      ALL.replace('4400000b', '4400000a'),
      0n,
      { kind: 'fault', code: { name: 'C_BAD_STE' } },
    ],
  ])('%s', (_, text, address, end) => {
    expect(ask(text, address).read).toMatchObject(end);
  });

  test('a StreamID beyond the table', () => {
    expect(ask(ALL, 0n, '0x10008').read).toMatchObject({
      code: { name: 'C_BAD_STREAMID' },
      why: 'the table has 2^16 StreamIDs',
    });
  });
});

describe('from an entry that is given', () => {
  const ste = 'ste: 0x4400000b 0x12000000c 0x0 0x0 0x0 0x0 0x0 0x0\n';
  const cd = `cd: 0x00010205c0803510 0x45000000 0x0 0xff44 0x0 0x0 0x0 0x0\n`;
  test('an STE', () => {
    const { of, read, steps } = ask(ste + CONTEXT + PAGES, 0x203abcn, null);
    expect([of, steps[0].what, steps[0].address]).toEqual(['the STE that is given', 'STE, as it is given', null]);
    expect(read.kind).toBe('page');
  });
  test('a CD: what it does not tell is said', () => {
    const { assumed, read } = ask(cd + PAGES, 0x203abcn, null);
    expect(read.kind).toBe('page');
    expect(assumed).toEqual(['no second stage, EL1 and unprivileged accesses: no STE is given']);
  });
});

test.each([
  ['no shape', ALL.replace(/SMMU_STRTAB_BASE_CFG.*\n/, ''), '0x8', 'add a line "STRTAB_BASE_CFG: 0x…"'],
  ['no stream', ALL, null, 'or the StreamID as 0x…'],
  [
    'VMSAv8-32',
    ALL.replace('00010205c0803510', '00010005c0803510'),
    '0x8',
    'a first stage of VMSAv8-32 (CD.AA64 = 0) is not walked here',
  ],
  ['two IOMMUs', `${ALL}ddtp: 0x1\n`, '0x8', 'the inputs are of several IOMMUs (smmuv3, riscv)'],
])('is refused with what is missing: %s', (_, text, device, message) => {
  const walk = () => ask(text, 0n, device);
  expect(walk).toThrow(WalkRefused);
  expect(walk).toThrow(message);
});
