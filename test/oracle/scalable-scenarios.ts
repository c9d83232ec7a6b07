/**
 * What VT-d says of scalable mode, by clause: as scenarios.ts, for the configurations that have one stage or the other. Reasons of root, context
 * and second-stage entries are those that QEMU records (recordedReasons of its profile); the others are VT-d's.
 */
import type { Scenario } from './scenarios.ts';

const DONE = '0';
const REFUSED = 'dead0002';
const write = (reason: number) => (0x80000000 + reason).toString(16);

/** Root entry, context entry of test device 0, PASID directory, PASID table at 0x103000; a queue of 256-bit descriptors. */
const DEVICE = `
store 0x100000 0x101001
store 0x101500 0x102001
store 0x102000 0x103001`;
const ON = `
reg 0x90 8 0x1f0800
qie 1
srtp 0x100400
te 1`;
const DMA = `
dma 0 0x40 4 0x200040`;
const AGAIN = `
dma 0 0x44 4 0x201044`;
/** Down to 0x113000; the leaf, with what it needs to grant all. */
const tables = (bits: string) => `
store 0x110000 0x1110${bits}
store 0x111000 0x1120${bits}
store 0x112000 0x1130${bits}`;

const SECOND = `${DEVICE}
store 0x103000 0x110089
store 0x103008 0x7${tables('03')}
store 0x113000 0x200003`;
const FIRST = `${DEVICE}
store 0x103000 0x49
store 0x103008 0x7
store 0x103010 0x110000${tables('27')}
store 0x113000 0x200067`;

const fault = (title: string, clause: string, tablesAre: string, reason: number, dma = DMA): Scenario => ({
  title,
  clause,
  text: tablesAre + ON + dma,
  reads: { RESULT: [REFUSED], 'FRCD.reason': [write(reason)], FSTS: ['0', '0', '2'] },
});

const stale = (title: string, clause: string, tablesAre: string, leaf: string, no: string, yes: string): Scenario => ({
  title,
  clause,
  text: `${tablesAre}${ON}${DMA}\nstore 0x113000 ${leaf}\n${no}\ndma 0 0x40 4 0x200040\n${yes}${AGAIN}`,
  reads: { RESULT: [DONE, DONE, DONE] },
});

const OF_SECOND: readonly Scenario[] = [
  { title: 'a page is translated', clause: '3.7', text: SECOND + ON + DMA, reads: { RESULT: [DONE] } },
  {
    title: 'pass-through',
    clause: '3.9',
    text: `${DEVICE}\nstore 0x103000 0x101${ON}\ndma 0 0x200040 4 0x200040`,
    reads: { RESULT: [DONE] },
  },
  {
    title: 'a device of the upper half of a bus goes by the upper half of the root entry, and its own table',
    clause: '9.2, 9.4',
    text: `${SECOND}\nstore 0x100000 0x0\nstore 0x100008 0x105001\nstore 0x105c00 0x102001${ON}\ndma 2 0x40 4 0x200040\ndma 0 0x40 4 0x200040`,
    reads: { RESULT: [DONE, REFUSED], 'FRCD.reason': ['0', write(1)] },
  },
  {
    title: 'the upper 128 bits of a descriptor are reserved',
    clause: '6.5.2.11, table 26',
    text: `${SECOND}${ON}\ninv 0x12 0x0\ninv 0x12 0x0 0x0 0x8000000000000000\ninv 0x12 0x0`,
    reads: { IQH: ['0', '20', '20', '20'], FSTS: ['0', '0', '0', '10', '10'] },
  },
  fault('PGTT of the stage that is not there', '7.1.3 SPT.4.2', `${SECOND}\nstore 0x103000 0x49`, 0x5b),
  fault('AW that CAP.SAGAW has not', '7.1.3 SPT.4.1', `${SECOND}\nstore 0x103000 0x11008d`, 0x5b),
  fault('a PASID-directory entry that is not present', '7.1.3 SPD.2', `${SECOND}\nstore 0x102000 0x0`, 0x51),
  fault('a context entry that is not present', '7.1.3 SCT.2', `${SECOND}\nstore 0x101500 0x0`, 0x2),
  stale(
    'a page-selective invalidation of its domain drops it, a PASID-based one does not',
    '6.5.2.3, table 24',
    SECOND,
    '0x201003',
    'inv 0x70036 0x0',
    'inv 0x70032 0x0',
  ),
];

const OF_FIRST: readonly Scenario[] = [
  {
    title: 'a page is translated; a read and a write set flags',
    clause: '3.6, 3.6.2',
    text: `${FIRST}\nstore 0x113000 0x200007${ON}${DMA}`,
    reads: { RESULT: [DONE] },
  },
  {
    title: 'addresses of the upper half',
    clause: '3.6',
    text: `${FIRST}\nstore 0x110800 0x111027${ON}\ndma 0 0xffff800000000040 4 0x200040`,
    reads: { RESULT: [DONE] },
  },
  fault('an address that is not canonical', '7.1.3 SGN.1', FIRST, 0x80, '\ndma 0 0x800000000040 4 0x200040'),
  fault('an entry that is not present', '7.1.3 SFS.2', `${FIRST}\nstore 0x112000 0x113026`, 0x71),
  fault('PS in an FS-PML4E', '7.1.3 SFS.3', `${FIRST}\nstore 0x110000 0x1110a7`, 0x72),
  fault('a page of 2 MiB that is not aligned', '7.1.3 SFS.3', `${FIRST}\nstore 0x112000 0x2020e7`, 0x72),
  fault('a supervisor page', '7.1.3 SGN.2', `${FIRST}\nstore 0x113000 0x200063`, 0x81),
  fault('a page that is read-only', '7.1.3 SGN.6', `${FIRST}\nstore 0x113000 0x200065`, 0x85),
  fault('a page in the interrupt range', '7.1.3 SGN.8', `${FIRST}\nstore 0x113000 0xfee00067`, 0x87),
  fault('a table that cannot be read', '7.1.3 SFS.1', `${FIRST}\nstore 0x110000 0x400000027`, 0x70),
  fault('the top table cannot be read', '7.1.3 SFS.4', `${FIRST}\nstore 0x103010 0x400000000`, 0x73),
  fault('5 levels, which there are not', '7.1.3 SPT.4.3', `${FIRST}\nstore 0x103010 0x110004`, 0x5b),
  stale(
    'a PASID-based invalidation of another PASID, or another page, leaves it',
    '6.5.2.4',
    FIRST,
    '0x201067',
    'inv 0x100070036 0x0\ninv 0x70036 0x1000',
    'inv 0x70036 0x1001',
  ),
];

/** By the mode of a configuration's tables. */
export const SCALABLE_SCENARIOS = [
  ['second', OF_SECOND],
  ['first', OF_FIRST],
] as const;
