/** SMMUv3: what values of fields mean where several registers, structures or descriptors have the same ones. */

/** Of accesses to tables and queues (SMMUv3 6.3.11). */
export const TABLE_CACHEABILITY = { 0: 'Non-cacheable', 1: 'Write-Back', 2: 'Write-Through' } as const;

/** Of translation table walks; RA and WA: allocates on reads, on writes (SMMUv3 5.2, 5.4). */
export const WALK_CACHEABILITY = {
  0: 'Non-cacheable',
  1: 'Write-Back RA WA',
  2: 'Write-Through RA',
  3: 'Write-Back RA',
} as const;

/** 1 is reserved. */
export const SHAREABILITY = { 0: 'Non-shareable', 2: 'Outer Shareable', 3: 'Inner Shareable' } as const;

/** Where the transaction's own shareability may be kept (STE.SHCFG, GBPA.SHCFG). */
export const SHAREABILITY_OVERRIDE = {
  0: 'Non-shareable',
  1: 'incoming',
  2: 'Outer Shareable',
  3: 'Inner Shareable',
} as const;

/** 1 is reserved (STE.PRIVCFG, GBPA.PRIVCFG). */
export const PRIVILEGE_OVERRIDE = { 0: 'incoming', 2: 'Unprivileged', 3: 'Privileged' } as const;

/** 1 is reserved (STE.INSTCFG, GBPA.INSTCFG). */
export const INSTRUCTION_OVERRIDE = { 0: 'incoming', 2: 'Data', 3: 'Instruction' } as const;

/** Memory types, encoded as in a stage-2 descriptor (MSIs, STE.MemAttr, GBPA.MemAttr). Bits 3:2 not 0: Normal memory, bits 3:2 outer, 1:0 inner. */
export const MEMORY_TYPE = {
  0: 'Device-nGnRnE',
  1: 'Device-nGnRE',
  2: 'Device-nGRE',
  3: 'Device-GRE',
  5: 'Normal, Non-cacheable',
  10: 'Normal, Write-Through',
  15: 'Normal, Write-Back',
} as const;

/** OAS, IPS and S2PS. */
export const ADDRESS_SIZE = {
  0: '32 bits',
  1: '36 bits',
  2: '40 bits',
  3: '42 bits',
  4: '44 bits',
  5: '48 bits',
  6: '52 bits',
  7: '56 bits',
} as const;

/** CD.TG0 and STE.S2TG. */
export const GRANULE_0 = { 0: '4 KiB', 1: '64 KiB', 2: '16 KiB' } as const;

/** CD.TG1, which is encoded otherwise. */
export const GRANULE_1 = { 1: '16 KiB', 2: '4 KiB', 3: '64 KiB' } as const;
