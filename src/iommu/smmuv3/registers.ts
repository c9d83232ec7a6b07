/** SMMUv3 registers: control, bypass, interrupts, global errors (IHI 0070, 6.3.9 – 6.3.23, 6.3.30 – 6.3.36). Page 0, Non-secure. */
import { address, bit, bits, named, register, ro } from '../../bits/index.ts';
import {
  ALLOCATION_OVERRIDE,
  INSTRUCTION_OVERRIDE,
  MEMORY_TYPE,
  PRIVILEGE_OVERRIDE,
  SHAREABILITY,
  SHAREABILITY_OVERRIDE,
  TABLE_CACHEABILITY,
} from './encodings.ts';

const control = {
  SMMUEN: bit(0),
  PRIQEN: bit(1),
  EVENTQEN: bit(2),
  CMDQEN: bit(3),
  /** Translated transactions are checked (3.9.2). */
  ATSCHK: bit(4),
  /** Which bits of a VMID invalidations by VMID compare. */
  VMW: named(bits(8, 6), {
    0: 'the whole VMID',
    1: 'VMID[N:1]',
    2: 'VMID[N:2]',
    3: 'VMID[N:3]',
    4: 'VMID[N:4]',
  }),
  DPT_WALK_EN: bit(10),
};

export const CR0 = register('SMMU_CR0', 0x20, 'SMMUv3 6.3.9', control);

/** A change of CR0 is complete when it is seen here. */
export const CR0ACK = register('SMMU_CR0ACK', 0x24, 'SMMUv3 6.3.10', {
  SMMUEN: ro(control.SMMUEN),
  PRIQEN: ro(control.PRIQEN),
  EVENTQEN: ro(control.EVENTQEN),
  CMDQEN: ro(control.CMDQEN),
  ATSCHK: ro(control.ATSCHK),
  VMW: ro(control.VMW),
  DPT_WALK_EN: ro(control.DPT_WALK_EN),
});

export const CR1 = register('SMMU_CR1', 0x28, 'SMMUv3 6.3.11', {
  QUEUE_IC: named(bits(1, 0), TABLE_CACHEABILITY),
  QUEUE_OC: named(bits(3, 2), TABLE_CACHEABILITY),
  QUEUE_SH: named(bits(5, 4), SHAREABILITY),
  TABLE_IC: named(bits(7, 6), TABLE_CACHEABILITY),
  TABLE_OC: named(bits(9, 8), TABLE_CACHEABILITY),
  TABLE_SH: named(bits(11, 10), SHAREABILITY),
});

export const CR2 = register('SMMU_CR2', 0x2c, 'SMMUv3 6.3.12', {
  E2H: bit(0),
  /** C_BAD_STREAMID is recorded. */
  RECINVSID: bit(1),
  /** The SMMU takes no part in broadcast TLB maintenance. */
  PTM: bit(2),
  REC_CFG_ATS: bit(3),
});

export const STATUSR = register('SMMU_STATUSR', 0x40, 'SMMUv3 6.3.13', {
  DORMANT: ro(bit(0)),
});

/** What becomes of transactions while CR0.SMMUEN = 0. */
export const GBPA = register('SMMU_GBPA', 0x44, 'SMMUv3 6.3.14', {
  MemAttr: named(bits(3, 0), MEMORY_TYPE),
  /** MemAttr replaces the transaction's. */
  MTCFG: bit(4),
  ALLOCCFG: named(bits(11, 8), ALLOCATION_OVERRIDE),
  SHCFG: named(bits(13, 12), SHAREABILITY_OVERRIDE),
  PRIVCFG: named(bits(17, 16), PRIVILEGE_OVERRIDE),
  INSTCFG: named(bits(19, 18), INSTRUCTION_OVERRIDE),
  ABORT: bit(20),
  /** Written as 1 with the rest; 0 again when the rest is in effect. */
  Update: bit(31),
});

export const AGBPA = register('SMMU_AGBPA', 0x48, 'SMMUv3 6.3.15', {
  /** Implementation defined. */
  IMPDEF: bits(31, 0),
});

const interrupts = { GERROR_IRQEN: bit(0), PRIQ_IRQEN: bit(1), EVENTQ_IRQEN: bit(2) };

export const IRQ_CTRL = register('SMMU_IRQ_CTRL', 0x50, 'SMMUv3 6.3.16', interrupts);

export const IRQ_CTRLACK = register('SMMU_IRQ_CTRLACK', 0x54, 'SMMUv3 6.3.18', {
  GERROR_IRQEN: ro(interrupts.GERROR_IRQEN),
  PRIQ_IRQEN: ro(interrupts.PRIQ_IRQEN),
  EVENTQ_IRQEN: ro(interrupts.EVENTQ_IRQEN),
});

/** An error is active where a bit differs from the one of GERRORN. */
export const GERROR = register('SMMU_GERROR', 0x60, 'SMMUv3 6.3.19', {
  /** CMDQ_CONS.ERR says which. */
  CMDQ_ERR: ro(bit(0)),
  /** A write to the event queue was aborted: events are lost; so for the page request queue. */
  EVENTQ_ABT_ERR: ro(bit(2)),
  PRIQ_ABT_ERR: ro(bit(3)),
  /** A write of an MSI was aborted. */
  MSI_CMDQ_ABT_ERR: ro(bit(4)),
  MSI_EVENTQ_ABT_ERR: ro(bit(5)),
  MSI_PRIQ_ABT_ERR: ro(bit(6)),
  MSI_GERROR_ABT_ERR: ro(bit(7)),
  /** Service failure mode was entered. */
  SFM_ERR: ro(bit(8)),
  /** An enhanced command queue has an error. */
  CMDQP_ERR: ro(bit(9)),
  /** A look-up in the device permission table failed. */
  DPT_ERR: ro(bit(10)),
});

/** Software acknowledges an error by the value of GERROR's bit. */
export const GERRORN = register('SMMU_GERRORN', 0x64, 'SMMUv3 6.3.20', {
  CMDQ_ERR: bit(0),
  EVENTQ_ABT_ERR: bit(2),
  PRIQ_ABT_ERR: bit(3),
  MSI_CMDQ_ABT_ERR: bit(4),
  MSI_EVENTQ_ABT_ERR: bit(5),
  MSI_PRIQ_ABT_ERR: bit(6),
  MSI_GERROR_ABT_ERR: bit(7),
  SFM_ERR: bit(8),
  CMDQP_ERR: bit(9),
  DPT_ERR: bit(10),
});

/** Where an MSI is written; 0: none is sent. */
const msiAddress = { ADDR: address(55, 2) };
const msiData = { DATA: bits(31, 0) };
const msiMemory = { MemAttr: named(bits(3, 0), MEMORY_TYPE), SH: named(bits(5, 4), SHAREABILITY) };

export const GERROR_IRQ_CFG0 = register('SMMU_GERROR_IRQ_CFG0', 0x68, 'SMMUv3 6.3.21', msiAddress, 64);
export const GERROR_IRQ_CFG1 = register('SMMU_GERROR_IRQ_CFG1', 0x70, 'SMMUv3 6.3.22', msiData);
export const GERROR_IRQ_CFG2 = register('SMMU_GERROR_IRQ_CFG2', 0x74, 'SMMUv3 6.3.23', msiMemory);

export const EVENTQ_IRQ_CFG0 = register('SMMU_EVENTQ_IRQ_CFG0', 0xb0, 'SMMUv3 6.3.30', msiAddress, 64);
export const EVENTQ_IRQ_CFG1 = register('SMMU_EVENTQ_IRQ_CFG1', 0xb8, 'SMMUv3 6.3.31', msiData);
export const EVENTQ_IRQ_CFG2 = register('SMMU_EVENTQ_IRQ_CFG2', 0xbc, 'SMMUv3 6.3.32', msiMemory);

export const PRIQ_IRQ_CFG0 = register('SMMU_PRIQ_IRQ_CFG0', 0xd0, 'SMMUv3 6.3.34', msiAddress, 64);
export const PRIQ_IRQ_CFG1 = register('SMMU_PRIQ_IRQ_CFG1', 0xd8, 'SMMUv3 6.3.35', msiData);
export const PRIQ_IRQ_CFG2 = register('SMMU_PRIQ_IRQ_CFG2', 0xdc, 'SMMUv3 6.3.36', {
  ...msiMemory,
  /** Interrupt for the last request of a group, not when the queue is no longer empty. */
  LO: bit(31),
});
