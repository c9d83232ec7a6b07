/** What VT-d says of interrupt remapping, by clause: as scenarios.ts, for units that have it. Messages are those that processors get. */
import type { Scenario } from './scenarios.ts';

const refused = (reason: number) => (0x80000000 + reason).toString(16);

/** Entry 3 of a table of 256, and remapping switched on; EIME. */
const entry = (lo: string, hi = '0x0', mode = '') => `
store 0x1e0030 ${lo}
store 0x1e0038 ${hi}
sirtp 0x1e0${mode === '' ? '0' : '8'}07
ire 1`;
/** Vector 0x31 to APIC 2. */
const GOOD = '0x20000310001';
const MSI = `
msi 0 0xfee00070 0x0`;
const REMAPPED = 'fee02000:4031';

const fault = (title: string, clause: string, text: string, reason: number): Scenario => ({
  title,
  clause,
  text,
  reads: { messages: ['', ''], 'FRCD.reason': [refused(reason)], FSTS: ['2'] },
});

const SCENARIOS: readonly Scenario[] = [
  {
    title: 'while IRES is 0 interrupts pass as they are',
    clause: '5.1.4',
    text: 'msi 0 0xfee01000 0x41\nmsi 1 0xfee00070 0x1234',
    reads: { messages: ['fee01000:41', 'fee00070:1234', ''], FSTS: ['0', '0'] },
  },
  {
    title: 'handle alone; data are not looked at',
    clause: '5.1.3',
    text: `${entry(GOOD)}\nmsi 0 0xfee00070 0xffff`,
    reads: { GSTS: ['1000000', '3000000'], messages: [REMAPPED, ''], FSTS: ['0'] },
  },
  {
    title: 'handle and subhandle',
    clause: '5.1.3',
    text: `${entry(GOOD)}\nmsi 0 0xfee00038 0x2`,
    reads: { messages: [REMAPPED, ''] },
  },
  {
    title: 'destination mode, redirection hint, trigger mode, delivery mode',
    clause: '5.1.5.1, 9.9',
    text: entry('0xab00004f003d') + MSI,
    reads: { messages: ['feeab00c:c14f', ''] },
  },
  {
    title: 'an entry that changes is another one behind an invalidation of its index',
    clause: '6.5.2.8',
    text: `${entry(GOOD)}\nreg 0x90 8 0x1f0000\nqie 1${MSI}\nstore 0x1e0030 0x70000520001\ninv 0x300000014 0x0${MSI}`,
    reads: { messages: [REMAPPED, 'fee07000:4052', ''], IQH: ['0', '10'] },
  },
  fault('an index beyond the table', '5.1.4.1', `${entry(GOOD)}\nmsi 0 0xfee02010 0x0`, 0x21),
  fault('an entry that is not present', '5.1.4.1', entry('0x20000310000') + MSI, 0x22),
  fault('the table cannot be read', '5.1.4.1', `sirtp 0x400000007\nire 1${MSI}`, 0x23),
  fault('a reserved bit in an entry', '9.9', entry('0x20000311001') + MSI, 0x24),
  fault('a reserved bit in the upper half of an entry', '9.9', entry(GOOD, '0x8000000000000000') + MSI, 0x24),
  fault('a requester that is not the one of the entry', '9.9', entry(GOOD, '0x40028') + MSI, 0x26),
  fault('a requester of another bus than the one of the entry', '9.9', entry(GOOD, '0x8a5a5') + MSI, 0x26),
  {
    title: 'the requester of the entry, by all bits or all but some, or by its bus',
    clause: '9.9',
    text: `${entry(GOOD, '0x40020')}${MSI}\nstore 0x1e0038 0x70027${MSI}\nstore 0x1e0038 0x80000${MSI}\nstore 0x1e0038 0x8a5a5\nmsi 1 0xfee00070 0x0`,
    reads: { messages: [REMAPPED, REMAPPED, REMAPPED, REMAPPED, ''], FSTS: ['0', '0', '0', '0'] },
  },
  {
    title: 'FPD: a fault by the entry is not recorded',
    clause: '9.9',
    text: entry('0x20000310002') + MSI,
    reads: { messages: ['', ''], 'FRCD.reason': ['0'], FSTS: ['0'] },
  },
  {
    title: 'the index is recorded with the requester',
    clause: '11.4.7.6',
    text: `${entry(GOOD)}\nmsi 1 0xfee00110 0x0\nclear`,
    reads: { FRCD: ['000000000000080001a5000022000080'] },
  },
  {
    title: 'data with reserved bits beside a subhandle, of a DWORD that a device writes',
    clause: '5.1.4.1',
    text: `store 0x200000 0x10000\nedu read 0x200000 0 4\n${entry(GOOD)}\nedu write 0xfee00078 0 4`,
    reads: { 'FRCD.reason': ['0', refused(0x20)], FSTS: ['0', '2'] },
  },
  {
    title: 'a fault of an interrupt raises the fault event',
    clause: '7.3',
    text: `${entry(GOOD)}\nreg 0x40 4 0xfee05000\nreg 0x3c 4 0x77\nreg 0x38 4 0x0\nmsi 0 0xfee00110 0x0`,
    reads: { messages: ['fee05000:77', ''], 'FRCD.reason': [refused(0x22)] },
  },
];

const EXTENDED: readonly Scenario[] = [
  {
    title: 'destinations of 32 bits in x2APIC mode',
    clause: '9.9, 5.1.5.1',
    text: entry('0x1234567800310001', '0x0', 'x2APIC') + MSI,
    reads: { messages: ['12345600fee78000:4031', ''], FSTS: ['0'] },
  },
  {
    title: 'and of 8 bits where software has not asked for it',
    clause: '9.9',
    text: entry(GOOD) + MSI,
    reads: { messages: [REMAPPED, ''] },
  },
];

/** By what interrupts of a configuration are. */
export const INTERRUPT_SCENARIOS = [
  ['xAPIC', SCENARIOS],
  ['x2APIC', EXTENDED],
] as const;
