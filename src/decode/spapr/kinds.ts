/** pSeries: TCEs, and the cells of properties and RTAS calls, by name. Cells are words of 32 bits, as tools print them. */
import { get } from '../../bits/index.ts';
import * as STRUCTURES from '../../iommu/spapr/structures.ts';
import type { AnyLayout, StructureKind } from '../structure-kinds.ts';
import { kindOf } from '../structure-kinds.ts';

function cellsOf(id: string, layout: AnyLayout, ...example: string[]): StructureKind {
  return { id, layout, example, wordBits: 32, words: [layout.width / 32] };
}

const { CREATE_WINDOW, DDW_APPLICABLE, DMA_WINDOW, LINUX_WINDOW, QUERY_WINDOW, QUERY_WINDOW_64, TCE, TCE_FAULT } =
  STRUCTURES;

export const SPAPR_TCE: StructureKind = {
  id: 'spapr.tce',
  layout: (halves) => (get(TCE.fields.PageMappingAndControl, halves) === 0 ? TCE_FAULT : TCE),
  words: [1],
  wordBits: 64,
  example: ['0x0000000061ee0003'],
};

export const SPAPR_KINDS: readonly StructureKind[] = [
  SPAPR_TCE,
  cellsOf('spapr.dma-window', DMA_WINDOW, '0x80000000', '0x0', '0x0', '0x0', '0x40000000'),
  cellsOf('spapr.linux-window', LINUX_WINDOW, '0x80000001', '0x08000000', '0x0', '0x10', '0x20'),
  cellsOf('spapr.ddw-applicable', DDW_APPLICABLE, '0x2027', '0x2028', '0x2029'),
  cellsOf('spapr.query-window', QUERY_WINDOW, '0x0', '0x1', '0x80000000', '0x107', '0x0'),
  cellsOf('spapr.query-window-64', QUERY_WINDOW_64, '0x0', '0x1', '0x20', '0x0', '0x107', '0x0'),
  cellsOf('spapr.create-window', CREATE_WINDOW, '0x0', '0x80000001', '0x08000000', '0x0'),
  kindOf('spapr.page-sizes', STRUCTURES.IO_PAGE_SIZES, '0x107'),
  kindOf('spapr.config-addr', STRUCTURES.CONFIG_ADDR, '0x00010800'),
];
