/**
 * TCEs and DMA windows of pSeries guests. Clauses: titles of LoPAR's sections; see the README. LoPAR numbers bits from the left: its bit n of 64 is bit
 * 63 - n here.
 */
import { address, bit, bits, fixed, ignored, join, named, structure } from '../../bits/index.ts';

/** Big-endian in memory. */
export const TCE = structure('TCE', 64, 'LoPAR TCE Definition', {
  PageMappingAndControl: named(bits(1, 0), { 0: 'page fault', 1: 'read only', 2: 'write only', 3: 'read and write' }),
  /** The guest's own (logical) page; with larger pages the lowest bits are 0. */
  RPN: address(63, 12),
});

/** How the platform reads a TCE that is not valid: the rest does not matter. */
export const TCE_FAULT = structure('TCE, page fault', 64, 'LoPAR TCE Definition', {
  PageMappingAndControl: fixed(TCE.PageMappingAndControl, 0),
  IGN_31_2: ignored(31, 2),
  IGN_63_32: ignored(63, 32),
});

/** Bytes of a TCE. */
export const TCE_BYTES = 8;

// Properties and RTAS buffers are cells of 32 bits, each big-endian: cell n is bits 32n+31:32n, and of a 64-bit value the higher cell comes first.

const cell = (n: number) => bits(32 * n + 31, 32 * n);

/** `ibm,dma-window`, and each window of `ibm,my-dma-window`, where address and size have two cells (`ibm,#dma-address-cells`, `ibm,#dma-size-cells`). */
export const DMA_WINDOW = structure('ibm,dma-window', 160, 'LoPAR ibm,dma-window', {
  LIOBN: cell(0),
  address_hi: cell(1),
  address_lo: cell(2),
  size_hi: cell(3),
  size_lo: cell(4),
});

/** What Linux notes of a window that it has created: `linux,direct64-ddr-window-info`, `linux,dma64-ddr-window-info`. */
export const LINUX_WINDOW = structure('linux,direct64-ddr-window-info', 160, 'Linux dynamic_dma_window_prop', {
  LIOBN: cell(0),
  dma_base_hi: cell(1),
  dma_base_lo: cell(2),
  /** log2 of the page's size. */
  tce_shift: cell(3),
  /** log2 of the window's size. */
  window_shift: cell(4),
});

/** The value of two cells. */
export function ofCells(hi: number, lo: number): bigint {
  return join(lo, hi);
}

/** `ibm,ddw-applicable`: the device's bridge has dynamic DMA windows, by these RTAS tokens. */
export const DDW_APPLICABLE = structure('ibm,ddw-applicable', 96, 'LoPAR DMA Window Manipulation Calls', {
  query_token: cell(0),
  create_token: cell(1),
  remove_token: cell(2),
});

/** Page sizes of a window: what `ibm,query-pe-dma-window` answers. 2 MiB is not in LoPAR, but in later firmware, QEMU and Linux. */
export const IO_PAGE_SIZES = structure('I/O page sizes', 32, 'LoPAR DMA Window Manipulation Calls', {
  SIZE_4K: bit(0),
  SIZE_64K: bit(1),
  SIZE_16M: bit(2),
  SIZE_32M: bit(3),
  SIZE_64M: bit(4),
  SIZE_128M: bit(5),
  SIZE_256M: bit(6),
  SIZE_16G: bit(7),
  SIZE_2M: bit(8),
});

/** log2 of these sizes. */
export const IO_PAGE_SHIFTS: Readonly<Record<keyof (typeof IO_PAGE_SIZES)['fields'], number>> = {
  SIZE_4K: 12,
  SIZE_64K: 16,
  SIZE_16M: 24,
  SIZE_32M: 25,
  SIZE_64M: 26,
  SIZE_128M: 27,
  SIZE_256M: 28,
  SIZE_16G: 34,
  SIZE_2M: 21,
};

/** `config_addr` of the calls: a device, or a bridge above it, below its host bridge. */
export const CONFIG_ADDR = structure('config_addr', 32, 'LoPAR DMA Window Manipulation Calls', {
  function: bits(10, 8),
  device: bits(15, 11),
  bus: bits(23, 16),
});

/** Answer of `ibm,query-pe-dma-window`; with five outputs. */
export const QUERY_WINDOW = structure('ibm,query-pe-dma-window', 160, 'LoPAR DMA Window Manipulation Calls', {
  Status: cell(0),
  WindowsAvailable: cell(1),
  PE_TCEs: cell(2),
  IO_page_sizes: cell(3),
  /** The page sizes whose windows can move with their partition. */
  MigrationCapable: cell(4),
});

/** With six outputs, which `ibm,ddw-extensions` offers: more TCEs than 32 bits count. */
export const QUERY_WINDOW_64 = structure('ibm,query-pe-dma-window, 64', 192, 'LoPAR DMA Window Manipulation Calls', {
  Status: cell(0),
  WindowsAvailable: cell(1),
  PE_TCEs_hi: cell(2),
  PE_TCEs_lo: cell(3),
  IO_page_sizes: cell(4),
  MigrationCapable: cell(5),
});

/** Answer of `ibm,create-pe-dma-window`. */
export const CREATE_WINDOW = structure('ibm,create-pe-dma-window', 128, 'LoPAR DMA Window Manipulation Calls', {
  Status: cell(0),
  LIOBN: cell(1),
  address_hi: cell(2),
  address_lo: cell(3),
});
