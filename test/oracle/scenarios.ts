/**
 * What VT-d says, by clause, as scripts with the values that have to be read: run on the model in `npm test`, on QEMU and the model in
 * `npm run test:qemu`. Where QEMU does otherwise the script is one of proofs.ts instead.
 */
export interface Scenario {
  readonly title: string;
  readonly clause: string;
  /** See script.ts. */
  readonly text: string;
  /** Of each field named, the values that are read, in order. */
  readonly reads: Readonly<Record<string, readonly string[]>>;
}

const DONE = '0';
const REFUSED = 'dead0002';
const ELSEWHERE = 'dead0004';

/** FRCD 127:96 with F: a write, a read; reasons of table 30. */
const write = (reason: number) => (0x80000000 + reason).toString(16);
const read = (reason: number) => (0xc0000000 + reason).toString(16);

const ROOT = `
store 0x100000 0x101001`;
/** Test device 0 in domain 1 and test device 1 in domain 2, both with the tables at 0x110000: 4 levels. */
const CONTEXTS = `
store 0x101280 0x110001
store 0x101288 0x102
store 0x101300 0x110001
store 0x101308 0x202
store 0x101200 0x110001
store 0x101208 0x302`;
/** Down to a table at 0x113000, whose entries map pages from address 0 on. */
const TABLES = `
store 0x110000 0x111003
store 0x111000 0x112003
store 0x112000 0x113003`;
const PAGE = `
store 0x113000 0x200003`;
const ON = `
srtp 0x100000
te 1`;
const QUEUE = `
reg 0x90 8 0x1f0000
qie 1`;
const MAPPED = ROOT + CONTEXTS + TABLES + PAGE;
const DMA = `
dma 0 0x40 4 0x200040`;

const fault = (title: string, clause: string, tables: string, reason: string, dma = DMA): Scenario => ({
  title,
  clause,
  text: tables + ON + dma,
  reads: { RESULT: [REFUSED], 'FRCD.reason': [reason], FSTS: ['2'] },
});

export const SCENARIOS: readonly Scenario[] = [
  {
    title: 'requests pass while TES is 0',
    clause: '6.5.4',
    text: `${MAPPED}\nsrtp 0x100000\ndma 0 0x200040 4 0x200040`,
    reads: { GSTS: ['40000000'], RESULT: [DONE], FSTS: ['0'] },
  },
  {
    title: 'a page of 4 KiB is translated, by 4 levels',
    clause: '3.7',
    text: MAPPED + ON + DMA,
    reads: { GSTS: ['40000000', 'c0000000'], RESULT: [DONE], FSTS: ['0'] },
  },
  {
    title: 'a large page of 2 MiB',
    clause: '9.8',
    text: `${ROOT}${CONTEXTS}\nstore 0x110000 0x111003\nstore 0x111000 0x112003\nstore 0x112008 0x200083${ON}\ndma 0 0x201234 4 0x201234\ndma 0 0x1234 4 0x201234`,
    reads: { RESULT: [DONE, REFUSED], 'FRCD.reason': ['0', write(5)] },
  },
  {
    title: 'a large page of 1 GiB',
    clause: '9.8',
    text: `${ROOT}${CONTEXTS}\nstore 0x110000 0x111003\nstore 0x111008 0x83${ON}\ndma 0 0x40201234 4 0x201234`,
    reads: { RESULT: [DONE], FSTS: ['0'] },
  },
  {
    title: 'three levels, where AW says so',
    clause: '9.3',
    text: `${ROOT}\nstore 0x101280 0x111001\nstore 0x101288 0x101\nstore 0x111000 0x112003\nstore 0x112000 0x113003${PAGE}${ON}${DMA}`,
    reads: { RESULT: [DONE], FSTS: ['0'] },
  },
  {
    title: 'a context entry with pass-through',
    clause: '9.3',
    text: `${ROOT}\nstore 0x101280 0x9\nstore 0x101288 0x102${ON}\ndma 0 0x200040 4 0x200040`,
    reads: { RESULT: [DONE], FSTS: ['0'] },
  },
  fault('the root entry is not present', '7.1.3', CONTEXTS, write(0x1)),
  {
    title: 'the root table cannot be read',
    clause: '7.1.3',
    text: `srtp 0x400000000\nte 1${DMA}`,
    reads: { RESULT: [REFUSED], 'FRCD.reason': [write(0x8)] },
  },
  fault('a reserved bit in the root entry', '9.1', `store 0x100000 0x101003${CONTEXTS}`, write(0xa)),
  fault('the context table cannot be read', '7.1.3', 'store 0x100000 0x400000001', write(0x9)),
  fault('the context entry is not present', '7.1.3', ROOT, write(0x2)),
  fault(
    'a reserved bit in the context entry',
    '9.3',
    `${ROOT}\nstore 0x101280 0x110011\nstore 0x101288 0x102`,
    write(0xb),
  ),
  fault('a translation type that is not', '9.3', `${ROOT}\nstore 0x101280 0x11000d\nstore 0x101288 0x102`, write(0x3)),
  fault(
    'an address width that CAP.SAGAW has not',
    '9.3',
    `${ROOT}\nstore 0x101280 0x110001\nstore 0x101288 0x103`,
    write(0x3),
  ),
  fault(
    'the top table cannot be read',
    '7.1.3',
    `${ROOT}\nstore 0x101280 0x400000001\nstore 0x101288 0x102`,
    write(0x3),
  ),
  fault('a table cannot be read', '7.1.3', `${ROOT}${CONTEXTS}\nstore 0x110000 0x400000003`, write(0x7)),
  fault('no right to write', '7.1.3', `${ROOT}${CONTEXTS}${TABLES}\nstore 0x113000 0x200001`, write(0x5)),
  fault(
    'no right to write in an entry above the leaf',
    '3.7',
    `${ROOT}${CONTEXTS}\nstore 0x110000 0x111001\nstore 0x111000 0x112003\nstore 0x112000 0x113003${PAGE}`,
    write(0x5),
  ),
  fault(
    'a reserved bit in a paging entry',
    '9.8',
    `${ROOT}${CONTEXTS}${TABLES}\nstore 0x113000 0x4000000000200003`,
    write(0xc),
  ),
  fault('SNP in an entry that references a table', '9.8', `${ROOT}${CONTEXTS}\nstore 0x110000 0x111803`, write(0xc)),
  fault('PS at level 4', '9.8', `${ROOT}${CONTEXTS}\nstore 0x110000 0x83`, write(0xc)),
  fault(
    'a large page that is not aligned',
    '9.8',
    `${ROOT}${CONTEXTS}\nstore 0x110000 0x111003\nstore 0x111000 0x112003\nstore 0x112000 0x201083`,
    write(0xc),
  ),
  fault(
    'a page that leads to the interrupt range',
    '3.15',
    `${ROOT}${CONTEXTS}${TABLES}\nstore 0x113000 0xfee00003`,
    write(0xe),
  ),
  {
    title: 'a read of a page that is not readable',
    clause: '7.1.3',
    text: `${ROOT}${CONTEXTS}${TABLES}\nstore 0x113000 0x200002${ON}\nedu read 0x40 0 4`,
    reads: { 'FRCD.reason': [read(6)], FSTS: ['2'] },
  },
  {
    title: 'FPD: a qualified fault is not recorded',
    clause: '7.1.3',
    text: `${ROOT}\nstore 0x101280 0x110003\nstore 0x101288 0x102${ON}${DMA}`,
    reads: { RESULT: [REFUSED], 'FRCD.reason': ['0'], FSTS: ['0'] },
  },
  {
    title: 'a fault record stays until software clears it, a fault of another requester overflows',
    clause: '7.2.1',
    text: `${ROOT}${CONTEXTS}${ON}${DMA}\ndma 1 0x40 4 0x200040\nclear\ndma 1 0x40 4 0x200040`,
    reads: { FSTS: ['2', '3', '0', '2'], FRCD: ['00000000000000002800000005000080'] },
  },
  {
    title: 'a translation that is cached serves until it is invalidated: a page of its domain',
    clause: '6.5.2.3',
    text: `${MAPPED}${ON}${QUEUE}${DMA}\nstore 0x113000 0x201003${DMA}\ninv 0x10032 0x0\ndma 0 0x40 4 0x201040`,
    reads: { RESULT: [DONE, DONE, DONE], IQH: ['0', '10'] },
  },
  {
    title: 'an invalidation of another domain, or another page, leaves it',
    clause: '6.5.2.3',
    text: `${MAPPED}${ON}${QUEUE}${DMA}\nstore 0x113000 0x201003\ninv 0x20022 0x0\ninv 0x10032 0x1000\ndma 0 0x44 4 0x200044\ninv 0x10032 0x1001\ndma 0 0x48 4 0x201048`,
    reads: { RESULT: [DONE, DONE, DONE], IQH: ['0', '10', '20', '30'] },
  },
  {
    title: 'register-based: by domain, and globally',
    clause: '6.5.1.2',
    text: `${MAPPED}${ON}${DMA}\nstore 0x113000 0x201003\nreg 0xf8 8 0xa000000200000000\ndma 0 0x44 4 0x200044\nreg 0xf8 8 0xa000000100000000\ndma 0 0x48 4 0x201048\nstore 0x113000 0x200003\nreg 0xf8 8 0x9000000000000000\ndma 0 0x4c 4 0x20004c`,
    reads: { RESULT: [DONE, DONE, DONE, DONE] },
  },
  {
    title: 'a context entry that is cached serves until it is invalidated',
    clause: '6.5.2.1',
    text: `${MAPPED}${ON}${QUEUE}${DMA}\nstore 0x101280 0x0\ndma 0 0x44 4 0x200044\ninv 0x2800010031 0x0\ninv 0x12 0x0\ndma 0 0x48 4 0x200048`,
    reads: { RESULT: [DONE, DONE, REFUSED], 'FRCD.reason': ['0', '0', write(2)] },
  },
  {
    title: 'a wait descriptor writes its status, and raises the event',
    clause: '6.5.2.9',
    text: `${QUEUE}\ninv 0x1234567800000025 0x1f8010\ninv 0x15 0x0`,
    reads: { IQH: ['0', '10', '20'], ICS: ['0', '1'], FSTS: ['0', '0', '0', '0'] },
  },
  {
    title: 'an invalid descriptor stops the queue where it is',
    clause: '6.5.2.11',
    text: `${QUEUE}\ninv 0x12 0x0\ninv 0xf 0x0\ninv 0x12 0x0`,
    reads: { IQH: ['0', '10', '10', '10'], FSTS: ['0', '0', '0', '10', '10'] },
  },
  {
    title: 'a tail beyond the queue',
    clause: '6.5.2.11',
    text: `${QUEUE}\nreg 0x88 4 0x1000`,
    reads: { FSTS: ['0', '0', '10'] },
  },
  {
    title: 'an address mask beyond CAP.MAMV',
    clause: '6.5.2.3',
    text: `${QUEUE}\ninv 0x10032 0x13`,
    reads: { IQH: ['0', '0'], FSTS: ['0', '0', '10'] },
  },
  {
    title: 'functions of one device, of the upper half of a bus, have context entries of their own',
    clause: '9.3',
    text: `${ROOT}${TABLES}${PAGE}\nstore 0x101e30 0x110001\nstore 0x101e38 0x102${ON}\ndma 3 0x40 4 0x200040\ndma 2 0x40 4 0x200040`,
    reads: { RESULT: [DONE, REFUSED], 'FRCD.reason': ['0', write(2)] },
  },
  {
    title: 'a device of another bus goes by the root entry of its bus',
    clause: '9.1',
    text: `store 0x100a50 0x104001\nstore 0x104000 0x110001\nstore 0x104008 0x102${TABLES}${PAGE}${ON}\ndma 4 0x40 4 0x200040\ndma 0 0x40 4 0x200040\nclear`,
    reads: { RESULT: [DONE, REFUSED], FRCD: ['00000000000000002800000001000080'] },
  },
  {
    title: 'FM makes functions the same in an invalidation of the context cache',
    clause: '6.5.2.1',
    text: `${ROOT}${TABLES}${PAGE}\nstore 0x101e30 0x110001\nstore 0x101e38 0x102${ON}${QUEUE}\ndma 3 0x40 4 0x200040\nstore 0x101e30 0x0\ninv 0xe000010031 0x0\ninv 0x12 0x0\ndma 3 0x44 4 0x200044\ninv 0x300e000010031 0x0\ninv 0x12 0x0\ndma 3 0x48 4 0x200048`,
    reads: { RESULT: [DONE, DONE, REFUSED] },
  },
  {
    title: 'the test device tells where a write did not arrive',
    clause: '3.7',
    text: `${MAPPED}${ON}\ndma 0 0x40 4 0x200080`,
    reads: { RESULT: [ELSEWHERE] },
  },
];
