import { describe, expect, test } from 'vitest';
import { layoutsOf, reservedOf } from '../../../test/declarations.ts';
import { agrees, inOrder, testDeclarations } from '../../../test/second-source.ts';
import { afterWrite, decode, decodeHalves, encode64 } from '../../bits/index.ts';
import * as capability from './capability-registers.ts';
import * as queue from './queue-registers.ts';
import * as registers from './registers.ts';

const { AIDR, IDR0, IDR1, IDR2, IDR3, IDR4, IDR5, IIDR } = capability;
const { AGBPA, CR0, CR0ACK, CR1, CR2, GBPA, GERROR, GERRORN, IRQ_CTRL, IRQ_CTRLACK, STATUSR } = registers;

testDeclarations(capability);
testDeclarations(registers);
testDeclarations(queue);

/** SmmuV3Registers.h of Microsoft's UEFI driver (BSD-2-Clause-Patent): members in their order, under the specification's names. */
describe('a second source: bit-fields of a UEFI driver (SMMUv3.2 generation)', () => {
  test('what an implementation has', () => {
    agrees(
      IDR0,
      inOrder(`S2P:1 S1P:1 TTF:2 COHACC:1 BTM:1 HTTU:2 DORMHINT:1 Hyp:1 ATS:1 NS1ATS:1 ASID16:1 MSI:1 SEV:1 ATOS:1 PRI:1
        VMW:1 VMID16:1 CD2L:1 VATOS:1 TTENDIAN:2 _:1 STALL_MODEL:2 TERM_MODEL:1 ST_LEVEL:2 _:3`),
      ['ATSRECERR', 'RME_IMPL'],
    );
    agrees(
      IDR1,
      inOrder(`SIDSIZE:6 SSIDSIZE:5 PRIQS:5 EVENTQS:5 CMDQS:5 ATTR_PERMS_OVR:1 ATTR_TYPES_OVR:1 REL:1 QUEUES_PRESET:1
        TABLES_PRESET:1 ECMDQ:1`),
    );
    agrees(IDR2, inOrder('BA_VATOS:10 _:22'));
    const since = ['E0PD', 'PTWNNC', 'DPT', 'PASIDTT', 'EPAN', 'S1PI', 'S2PI', 'S2PO', 'THE', 'MTEPERM', 'AIE'];
    agrees(IDR3, inOrder('_:2 HAD:1 PBHA:1 XNX:1 PPS:1 _:1 MPAM:1 FWB:1 STT:1 RIL:1 BBML:2 _:19'), since);
    agrees(IDR4, inOrder('IMPDEF:32'));
    agrees(IDR5, inOrder('OAS:3 _:1 GRAN4K:1 GRAN16K:1 GRAN64K:1 _:3 VAX:2 _:4 STALL_MAX:16'), ['DS', 'D128']);
    agrees(IIDR, inOrder('Implementer:12 Revision:4 Variant:4 ProductID:12'));
    agrees(AIDR, inOrder('ArchMinorRev:4 ArchMajorRev:4 _:24'));
  });

  test('control', () => {
    const cr0 = inOrder('SMMUEN:1 PRIQEN:1 EVENTQEN:1 CMDQEN:1 ATSCHK:1 _:1 VMW:3 _:23');
    agrees(CR0, cr0, ['DPT_WALK_EN']);
    agrees(CR0ACK, cr0, ['DPT_WALK_EN']);
    agrees(CR1, inOrder('QUEUE_IC:2 QUEUE_OC:2 QUEUE_SH:2 TABLE_IC:2 TABLE_OC:2 TABLE_SH:2 _:20'));
    agrees(CR2, inOrder('E2H:1 RECINVSID:1 PTM:1 _:29'), ['REC_CFG_ATS']);
    agrees(STATUSR, inOrder('DORMANT:1 _:31'));
    agrees(GBPA, inOrder('MemAttr:4 MTCFG:1 _:3 ALLOCCFG:4 SHCFG:2 _:2 PRIVCFG:2 INSTCFG:2 ABORT:1 _:10 Update:1'));
    agrees(AGBPA, inOrder('IMPDEF:32'));
    const irq = inOrder('GERROR_IRQEN:1 PRIQ_IRQEN:1 EVENTQ_IRQEN:1 _:29');
    agrees(IRQ_CTRL, irq);
    agrees(IRQ_CTRLACK, irq);
    const errors = inOrder(`CMDQ_ERR:1 _:1 EVENTQ_ABT_ERR:1 PRIQ_ABT_ERR:1 MSI_CMDQ_ABT_ERR:1 MSI_EVENTQ_ABT_ERR:1
      MSI_PRIQ_ABT_ERR:1 MSI_GERROR_ABT_ERR:1 SFM_ERR:1 _:23`);
    agrees(GERROR, errors, ['CMDQP_ERR', 'DPT_ERR']);
    agrees(GERRORN, errors, ['CMDQP_ERR', 'DPT_ERR']);
  });

  /** Addresses have 52 bits there, 56 in SMMUv3.4. */
  test('queues, tables, MSIs: an address ends four bits later here', () => {
    expect(queue.STRTAB_BASE.ADDR).toMatchObject({ hi: 51 + 4, lo: 6 });
    expect([queue.CMDQ_BASE, queue.EVENTQ_BASE, queue.PRIQ_BASE].map(({ ADDR }) => [ADDR.hi - 4, ADDR.lo])).toEqual(
      Array(3).fill([51, 5]),
    );
    const msis = [registers.GERROR_IRQ_CFG0, registers.EVENTQ_IRQ_CFG0, registers.PRIQ_IRQ_CFG0];
    expect(msis.map(({ ADDR }) => [ADDR.hi - 4, ADDR.lo])).toEqual(Array(3).fill([51, 2]));
    agrees(queue.STRTAB_BASE, { RA: [62, 62] }, ['ADDR']);
    agrees(queue.STRTAB_BASE_CFG, inOrder('LOG2SIZE:6 SPLIT:5 _:5 FMT:2 _:14'));
    agrees(queue.CMDQ_BASE, { LOG2SIZE: [4, 0], RA: [62, 62] }, ['ADDR']);
    agrees(queue.EVENTQ_BASE, { LOG2SIZE: [4, 0], WA: [62, 62] }, ['ADDR']);
    agrees(queue.PRIQ_BASE, { LOG2SIZE: [4, 0], WA: [62, 62] }, ['ADDR']);
    agrees(queue.CMDQ_PROD, inOrder('WR:20 _:12'));
    agrees(queue.CMDQ_CONS, inOrder('RD:20 _:4 ERR:7 _:1'));
    for (const prod of [queue.EVENTQ_PROD, queue.PRIQ_PROD]) agrees(prod, inOrder('WR:20 _:11 OVFLG:1'));
    for (const cons of [queue.EVENTQ_CONS, queue.PRIQ_CONS]) agrees(cons, inOrder('RD:20 _:11 OVACKFLG:1'));
    const { EVENTQ_IRQ_CFG1, EVENTQ_IRQ_CFG2, GERROR_IRQ_CFG1, GERROR_IRQ_CFG2 } = registers;
    const { PRIQ_IRQ_CFG1, PRIQ_IRQ_CFG2 } = registers;
    for (const cfg of [GERROR_IRQ_CFG1, EVENTQ_IRQ_CFG1, PRIQ_IRQ_CFG1]) agrees(cfg, inOrder('DATA:32'));
    for (const cfg of [GERROR_IRQ_CFG2, EVENTQ_IRQ_CFG2]) agrees(cfg, inOrder('MemAttr:4 SH:2 _:26'));
    agrees(PRIQ_IRQ_CFG2, inOrder('MemAttr:4 SH:2 _:26'), ['LO']);
  });

  test('offsets: page 0 in its order, 0 where there is a gap of a word', () => {
    const words =
      `IDR0 IDR1 IDR2 IDR3 IDR4 IDR5 IIDR AIDR CR0 CR0ACK CR1 CR2 0 0 0 0 STATUSR GBPA AGBPA 0 IRQ_CTRL IRQ_CTRLACK 0 0
      GERROR GERRORN GERROR_IRQ_CFG0 0 GERROR_IRQ_CFG1 GERROR_IRQ_CFG2 0 0 STRTAB_BASE 0 STRTAB_BASE_CFG 0 CMDQ_BASE 0 CMDQ_PROD
      CMDQ_CONS EVENTQ_BASE 0 0 0 EVENTQ_IRQ_CFG0 0 EVENTQ_IRQ_CFG1 EVENTQ_IRQ_CFG2 PRIQ_BASE 0 0 0 PRIQ_IRQ_CFG0 0 PRIQ_IRQ_CFG1
      PRIQ_IRQ_CFG2`.split(/\s+/);
    const theirs = Object.fromEntries(words.map((name, n) => [name, 4 * n]).filter(([name]) => name !== '0'));
    const page1 = { EVENTQ_PROD: 0xa8, EVENTQ_CONS: 0xac, PRIQ_PROD: 0xc8, PRIQ_CONS: 0xcc };
    for (const [name, offset] of Object.entries(page1)) theirs[name] = 0x10000 + offset;
    const all = { ...capability, ...registers, ...queue };
    expect(Object.fromEntries(Object.entries(all).map(([name, { offset }]) => [name, offset]))).toEqual(theirs);
    for (const [name, of] of Object.entries(all)) expect(of.name).toBe(`SMMU_${name}`);
  });
});

test('clauses count up with the offsets, but for the queues of page 1', () => {
  const number = (clause: string) => Number(clause.split('.').at(-1));
  const all = Object.values({ ...capability, ...registers, ...queue }).sort((a, b) => a.offset - b.offset);
  const numbers = all.map(({ clause }) => number(clause));
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  // 6.3.17 is SMMU_S2PII, which is not declared.
  const page0 = Array.from({ length: 36 }, (_, i) => i + 1).filter((n) => n !== 17);
  expect(numbers).toEqual([...page0, 95, 96, 97, 98]);
});

describe("what Linux's and QEMU's constants say", () => {
  test('reserved bits of CR0 that QEMU has: bit 10 too, which came later, and not bit 9', () => {
    expect(reservedOf(CR0) | (1n << 10n) | (1n << 9n)).toBe(0xffff_fc20n | (1n << 9n));
  });

  test('errors of GERROR that Linux handles', () => {
    const known = 0x1fdn;
    expect(reservedOf(GERROR) & known).toBe(0n);
    expect(~reservedOf(GERROR) & 0xffff_ffffn & ~known).toBe(0x600n);
  });

  test('cacheability of queues and tables: Write-Back 1, Write-Through 2', () => {
    for (const field of [CR1.QUEUE_IC, CR1.QUEUE_OC, CR1.TABLE_IC, CR1.TABLE_OC])
      expect(field.values).toEqual({ 0: 'Non-cacheable', 1: 'Write-Back', 2: 'Write-Through' });
  });

  test("QEMU's IDR1 and IDR5, GBPA after reset", () => {
    const idr1 = encode64(IDR1, { SIDSIZE: 16, EVENTQS: 19, CMDQS: 19 });
    expect(idr1).toBe(0x0273_0010n);
    expect(decode(IDR5, 0x74n)).toMatchObject({ OAS: 4, GRAN4K: 1, GRAN16K: 1, GRAN64K: 1 });
    expect(GBPA.SHCFG.values?.[decode(GBPA, 0x1000n).SHCFG]).toBe('incoming');
  });
});

test.each([
  ['the command was all zeros, which Linux reported', 0x0100_0022, 0x22, 'CERROR_ILL'],
  ['a device did not answer an ATC invalidation', 0x0302_bb84, 0x2bb84, 'CERROR_ATC_INV_SYNC'],
  ['the same on another machine', 0x0300_0003, 3, 'CERROR_ATC_INV_SYNC'],
])('CMDQ_CONS of a log: %s', (_, value, RD, error) => {
  const decoded = decodeHalves(queue.CMDQ_CONS, [value]);
  expect(decoded.RD).toBe(RD);
  expect(queue.CMDQ_CONS.ERR.values?.[decoded.ERR]).toBe(error);
});

describe('what software can write', () => {
  test('nothing in what tells, acknowledges or reports', () => {
    for (const of of [...layoutsOf(capability), CR0ACK, IRQ_CTRLACK, GERROR, STATUSR]) {
      const fields = Object.values(of.fields);
      expect(fields.map(({ access }) => access)).toEqual(fields.map(() => 'ro'));
    }
    expect(afterWrite(CR0ACK, 0, 0x5, -1)).toBe(0x5);
  });

  test('only declared bits of CR0', () => expect(afterWrite(CR0, 0, 0, -1)).toBe(0x5df));
});
