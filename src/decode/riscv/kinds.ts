/** The RISC-V IOMMU's contexts, page-table entries, commands, queue records and registers by name. */
import { get } from '../../bits/index.ts';
import { COMMANDS, FUNC3, OPCODE } from '../../iommu/riscv/commands.ts';
import * as DEBUG from '../../iommu/riscv/debug-registers.ts';
import { FAULT_RECORD, GUEST_FAULT, PAGE_REQUEST } from '../../iommu/riscv/fault-structures.ts';
import {
  GPTE,
  GPTE_32,
  GPTE_TABLE,
  GPTE_TABLE_32,
  MSI_PTE_BASIC,
  MSI_PTE_FORM,
  MSI_PTE_MRIF,
  PTE,
  PTE_32,
  PTE_TABLE,
  PTE_TABLE_32,
} from '../../iommu/riscv/page-structures.ts';
import * as REGISTERS from '../../iommu/riscv/registers.ts';
import * as STRUCTURES from '../../iommu/riscv/structures.ts';
import type { AnyLayout, StructureKind } from '../structure-kinds.ts';
import { entryOf, kindOf, registerKinds } from '../structure-kinds.ts';

const BY_OPCODE: Readonly<Record<number, Readonly<Record<number, AnyLayout>>>> = COMMANDS;
const MSI_BY_FORM: Readonly<Record<number, AnyLayout>> = { 1: MSI_PTE_MRIF, 3: MSI_PTE_BASIC };

/** The contexts have 32 bytes, or 64 with capabilities.MSI_FLAT. */
const BASE_HALVES = 8;

const { DC_BASE, DC_EXTENDED } = STRUCTURES;

/** An entry that has any of R, W and X is a leaf. */
function isLeaf(halves: Int32Array): boolean {
  const { R, W, X } = PTE.fields;
  return get(R, halves) + get(W, halves) + get(X, halves) > 0;
}

export const RISCV_GUEST_FAULT = kindOf('riscv.guest-fault', GUEST_FAULT, '0x0000000080001001');

export const RISCV_KINDS: readonly StructureKind[] = [
  kindOf('riscv.ddte', STRUCTURES.DDTE, '0x0000000020040001'),
  {
    id: 'riscv.dc',
    layout: (halves) => (halves.length === BASE_HALVES ? DC_BASE : DC_EXTENDED),
    words: [4, 8],
    wordBits: 64,
    example: ['0x1', '0x0', '0x0000000000005000', '0x8000000000080100'],
  },
  kindOf('riscv.tc', STRUCTURES.TC, '0x0000000000000003'),
  kindOf('riscv.iohgatp', STRUCTURES.IOHGATP, '0x8000100000080100'),
  kindOf('riscv.ta', STRUCTURES.DC_TA, '0x0000000000005000'),
  kindOf('riscv.iosatp', STRUCTURES.IOSATP, '0x8000000000080100'),
  kindOf('riscv.pdtp', STRUCTURES.PDTP, '0x2000000000080100'),
  kindOf('riscv.msiptp', STRUCTURES.MSIPTP, '0x1000000000080100'),
  kindOf('riscv.msi-addr-mask', STRUCTURES.MSI_ADDR_MASK, '0x000000000000000f'),
  kindOf('riscv.msi-addr-pattern', STRUCTURES.MSI_ADDR_PATTERN, '0x0000000000028000'),
  kindOf('riscv.pdte', STRUCTURES.PDTE, '0x0000000020040001'),
  kindOf('riscv.pc-ta', STRUCTURES.PC_TA, '0x0000000000005001'),
  kindOf('riscv.pc', STRUCTURES.PC, '0x0000000000005001', '0x8000000000080100'),
  entryOf('riscv.pte', isLeaf, PTE, PTE_TABLE, '0x00000000200400d7'),
  entryOf('riscv.gpte', isLeaf, GPTE, GPTE_TABLE, '0x00000000200400d7'),
  entryOf('riscv.pte-32', isLeaf, PTE_32, PTE_TABLE_32, '0x200400d7'),
  entryOf('riscv.gpte-32', isLeaf, GPTE_32, GPTE_TABLE_32, '0x200400d7'),
  {
    id: 'riscv.msi-pte',
    layout: (halves) => MSI_BY_FORM[get(MSI_PTE_FORM, halves)] ?? null,
    words: [2],
    wordBits: 64,
    example: ['0x000000000a000007', '0x0'],
  },
  {
    id: 'riscv.cmd',
    layout: (halves) => BY_OPCODE[get(OPCODE, halves)]?.[get(FUNC3, halves)] ?? null,
    words: [2],
    wordBits: 64,
    example: ['0x0000000000003002', '0x0'],
  },
  kindOf('riscv.fault', FAULT_RECORD, '0x000100080000000d', '0x0', '0x00000000ff9bc000', '0x0'),
  RISCV_GUEST_FAULT,
  kindOf('riscv.page-request', PAGE_REQUEST, '0x0001000100005000', '0x00007f0000001007'),
  ...registerKinds('riscv', { ...REGISTERS, ...DEBUG }),
];
