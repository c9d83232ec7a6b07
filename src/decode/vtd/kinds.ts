/** VT-d's structures, descriptors and registers by name. */
import { get, layout } from '../../bits/index.ts';
import * as COMMANDS from '../../iommu/vtd/commands.ts';
import {
  COMPATIBILITY_ADDRESS,
  COMPATIBILITY_DATA,
  IRTE,
  IRTE_POSTED,
  PID,
  REMAPPABLE_ADDRESS,
  REMAPPABLE_DATA,
} from '../../iommu/vtd/interrupt-structures.ts';
import { PAGE_REQ_DSC } from '../../iommu/vtd/page-request-structures.ts';
import * as REGISTERS from '../../iommu/vtd/registers.ts';
import {
  FS_PAGE,
  FS_TABLE,
  PASID_DIRECTORY_ENTRY,
  PASID_TABLE_ENTRY,
  SM_CONTEXT_ENTRY,
  SM_ROOT_ENTRY,
} from '../../iommu/vtd/scalable-structures.ts';
import { CONTEXT_ENTRY, ROOT_ENTRY, SS_PAGE, SS_TABLE } from '../../iommu/vtd/structures.ts';
import type { AnyLayout, StructureKind } from '../structure-kinds.ts';
import { entryOf, kindOf, registerKinds } from '../structure-kinds.ts';

const DESCRIPTORS: readonly AnyLayout[] = [
  COMMANDS.CONTEXT_INV_DSC,
  COMMANDS.IOTLB_INV_DSC,
  COMMANDS.DEVICE_TLB_INV_DSC,
  COMMANDS.IEC_INV_DSC,
  COMMANDS.WAIT_DSC,
  COMMANDS.PASID_IOTLB_INV_DSC,
  COMMANDS.PASID_CACHE_INV_DSC,
  COMMANDS.PASID_DEVICE_TLB_INV_DSC,
  COMMANDS.PAGE_GRP_RESP_DSC,
  COMMANDS.HPT_INV_DSC,
];

const TYPE = COMMANDS.WAIT_DSC.TYPE;
const TYPE_HI = COMMANDS.WAIT_DSC.TYPE_HI;

/** The descriptor of a type (VT-d 6.5.2): bits 11:9 and 3:0 of the first word. */
export function descriptorOf(halves: ArrayLike<number>): AnyLayout | null {
  const type = (get(TYPE_HI, halves) << 4) | get(TYPE, halves);
  return DESCRIPTORS.find(({ fields }) => (fields.TYPE.fixed as number) === type) ?? null;
}

/** A paging entry above the lowest level: PS tells a page from a table. */
function entry(id: string, page: AnyLayout, table: AnyLayout, example: string): StructureKind {
  return entryOf(id, (halves) => get(page.fields.PS, halves) === 1, page, table, example);
}

const SECOND_STAGE = [
  kindOf('vtd.ss-pte', SS_PAGE, '0x000000010303f003'),
  entry('vtd.ss-pde', SS_PAGE, SS_TABLE, '0x000000021d200883'),
  entry('vtd.ss-pdpe', SS_PAGE, SS_TABLE, '0x0000001a30a72003'),
  kindOf('vtd.ss-pml4e', SS_TABLE, '0x0000001a30a72003'),
  kindOf('vtd.ss-pml5e', SS_TABLE, '0x0000001a30a72003'),
];

const FIRST_STAGE = [
  kindOf('vtd.fs-pte', FS_PAGE, '0x000000010303f067'),
  entry('vtd.fs-pde', FS_PAGE, FS_TABLE, '0x00000001034000e7'),
  entry('vtd.fs-pdpe', FS_PAGE, FS_TABLE, '0x000000010303f027'),
  kindOf('vtd.fs-pml4e', FS_TABLE, '0x000000010303f027'),
  kindOf('vtd.fs-pml5e', FS_TABLE, '0x000000010303f027'),
];

/** Bits 127:64 of a fault record are declared as a register of their own. */
const FRCD = layout('fault record', REGISTERS.FRCD_LO.clause, 128, {
  ...REGISTERS.FRCD_LO.fields,
  ...Object.fromEntries(
    Object.entries(REGISTERS.FRCD_HI.fields).map(([name, field]) => [
      name,
      { ...field, hi: field.hi + 64, lo: field.lo + 64 },
    ]),
  ),
});

const { FRCD_LO: _lo, FRCD_HI: _hi, IRTA_XAPIC: _xapic, ...NAMED_REGISTERS } = REGISTERS;

/** Of the invalidation queue: 128 bits, or 256 with IQA.DW. */
export const VTD_DESCRIPTOR: StructureKind = {
  id: 'vtd.inv',
  layout: descriptorOf,
  words: [2, 4],
  wordBits: 64,
  example: ['0x0000000200000025', '0x0000000100059c04'],
};

export const VTD_KINDS: readonly StructureKind[] = [
  kindOf('vtd.root', ROOT_ENTRY, '0x00000001030dc001', '0x0'),
  kindOf('vtd.context', CONTEXT_ENTRY, '0x000000010303f005', '0x0000000000000102'),
  kindOf('vtd.sm-root', SM_ROOT_ENTRY, '0x00000001030dc001', '0x00000001030dd001'),
  kindOf('vtd.sm-context', SM_CONTEXT_ENTRY, '0x0000000103220e7d', '0x0', '0x0', '0x0'),
  kindOf('vtd.pasid-dir', PASID_DIRECTORY_ENTRY, '0x0000000103221001'),
  kindOf(
    'vtd.pasid',
    PASID_TABLE_ENTRY,
    '0x00000001038a5089',
    '0x0000000000800002',
    '0x0',
    '0x0',
    '0x0',
    '0x0',
    '0x0',
    '0x0',
  ),
  ...SECOND_STAGE,
  ...FIRST_STAGE,
  VTD_DESCRIPTOR,
  {
    id: 'vtd.irte',
    layout: (halves) => (get(IRTE.IM, halves) === 1 ? IRTE_POSTED : IRTE),
    words: [2],
    wordBits: 64,
    example: ['0x000000800024000d', '0x0000000000040050'],
  },
  kindOf('vtd.pid', PID, '0x0', '0x0', '0x0', '0x0', '0x1', '0x0', '0x0', '0x0'),
  {
    id: 'vtd.msi-address',
    layout: (halves) => (get(REMAPPABLE_ADDRESS.FORMAT, halves) === 1 ? REMAPPABLE_ADDRESS : COMPATIBILITY_ADDRESS),
    words: [1],
    wordBits: 32,
    example: ['0xfee00018'],
  },
  // Nothing in the data tells its format, as the address does.
  kindOf('vtd.msi-data', COMPATIBILITY_DATA, '0x00004022'),
  kindOf('vtd.msi-data-remappable', REMAPPABLE_DATA, '0x00000000'),
  kindOf('vtd.page-request', PAGE_REQ_DSC, '0x0000000100080101', '0x0000000000403001', '0x0', '0x0'),
  kindOf('vtd.frcd', FRCD, '0x000000009c000000', '0xc000000500000090'),
  ...registerKinds('vtd', NAMED_REGISTERS),
];
