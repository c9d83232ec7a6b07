/** AMD-Vi's structures, commands, log entries and registers by name. */
import { get } from '../../bits/index.ts';
import * as CAPABILITY from '../../iommu/amdvi/capability-registers.ts';
import { COMMANDS, OPCODE } from '../../iommu/amdvi/commands.ts';
import { EVENT_CODE } from '../../iommu/amdvi/event-structures.ts';
import { EVENTS } from '../../iommu/amdvi/events.ts';
import * as FEATURES from '../../iommu/amdvi/feature-registers.ts';
import { GA_LOG_ENTRY, IRTE, IRTE_128, IRTE_GUEST } from '../../iommu/amdvi/interrupt-structures.ts';
import { PAGE_SERVICE_REQUEST } from '../../iommu/amdvi/page-request-structures.ts';
import * as REGISTERS from '../../iommu/amdvi/registers.ts';
import {
  DTE,
  GCR3_ENTRY,
  GUEST_LARGE_PTE,
  GUEST_PDE,
  GUEST_PTE,
  isLeaf,
  PDE,
  PTE,
} from '../../iommu/amdvi/structures.ts';
import type { AnyLayout, StructureKind } from '../structure-kinds.ts';
import { entryOf, kindOf, kindsByOffset, registerKinds } from '../structure-kinds.ts';

/** Entries of the device table that Linux has for a device that may do nothing, and for one in a domain of 4 KiB pages and 3 levels. */
export const AMD_DTE = kindOf('amdvi.dte', DTE, '0x6000000103f0c603', '0x0000000000000013', '0x0', '0x0');

export const AMD_COMMAND: StructureKind = {
  id: 'amdvi.cmd',
  layout: (halves) => (COMMANDS as Readonly<Record<number, AnyLayout>>)[get(OPCODE, halves)] ?? null,
  words: [2],
  wordBits: 64,
  example: ['0x1000000123456789', '0x2a'],
};

export const AMD_EVENT: StructureKind = {
  id: 'amdvi.event',
  layout: (halves) =>
    (EVENTS as Readonly<Record<number, { readonly entry: AnyLayout }>>)[get(EVENT_CODE, halves)]?.entry ?? null,
  words: [2],
  wordBits: 64,
  example: ['0x2070000000000500', '0x0000000169801800'],
};

/** Registers by their offset in MMIO space, and in the capability block. */
export const AMD_MMIO = kindsByOffset('amdvi', { ...REGISTERS, ...FEATURES });
export const AMD_CAPABILITY = kindsByOffset('amdvi', CAPABILITY);

/** What every present paging entry has: which of the two it is. */
const NEXT_LEVEL = PTE.fields.NextLevel;
const isGuestPage = (halves: Int32Array) => get(GUEST_PDE.fields.PS, halves) === 1;

export const AMD_KINDS: readonly StructureKind[] = [
  AMD_DTE,
  entryOf('amdvi.pte', (halves) => isLeaf(get(NEXT_LEVEL, halves)), PTE, PDE, '0x6000000103f0c001'),
  kindOf('amdvi.gcr3', GCR3_ENTRY, '0x0000000103f0c001'),
  kindOf('amdvi.guest-pte', GUEST_PTE, '0x8000000103f0c067'),
  entryOf('amdvi.guest-pde', isGuestPage, GUEST_LARGE_PTE, GUEST_PDE, '0x00000001034000e7'),
  kindOf('amdvi.irte', IRTE, '0x00220001'),
  {
    id: 'amdvi.irte-128',
    layout: (halves) => (get(IRTE_GUEST.fields.GuestMode, halves) === 1 ? IRTE_GUEST : IRTE_128),
    words: [2],
    wordBits: 64,
    example: ['0x0000000000000101', '0x22'],
  },
  AMD_COMMAND,
  AMD_EVENT,
  kindOf('amdvi.ppr', PAGE_SERVICE_REQUEST, '0x1024020000000500', '0x00007f0000001000'),
  kindOf('amdvi.ga-log', GA_LOG_ENTRY, '0x1000050000000001'),
  ...registerKinds('amdvi', { ...CAPABILITY, ...REGISTERS, ...FEATURES }),
];
