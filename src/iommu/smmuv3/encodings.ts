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

/** Of context descriptors, which are only read: RA allocates on reads (SMMUv3 5.2). */
export const CD_CACHEABILITY = {
  0: 'Non-cacheable',
  1: 'Write-Back RA',
  2: 'Write-Through RA',
  3: 'Write-Back no RA',
} as const;

/** 1 is reserved, and behaves as 0. */
export const SHAREABILITY = { 0: 'Non-shareable', 2: 'Outer Shareable', 3: 'Inner Shareable' } as const;

/** Where the transaction's own shareability may be kept (STE.SHCFG, GBPA.SHCFG). */
export const SHAREABILITY_OVERRIDE = {
  0: 'Non-shareable',
  1: 'incoming',
  2: 'Outer Shareable',
  3: 'Inner Shareable',
} as const;

/** 1 is reserved, and behaves as 0 (STE.PRIVCFG, GBPA.PRIVCFG). */
export const PRIVILEGE_OVERRIDE = { 0: 'incoming', 2: 'Unprivileged', 3: 'Privileged' } as const;

/** 1 is reserved, and behaves as 0 (STE.INSTCFG, GBPA.INSTCFG). */
export const INSTRUCTION_OVERRIDE = { 0: 'incoming', 2: 'Data', 3: 'Instruction' } as const;

const DEVICE = ['Device-nGnRnE', 'Device-nGnRE', 'Device-nGRE', 'Device-GRE'];
const CACHEABILITY = ['', 'Non-cacheable', 'Write-Through', 'Write-Back'];

function memoryType(code: number): string | null {
  const outer = CACHEABILITY[code >> 2];
  const inner = CACHEABILITY[code & 3];
  if (outer === '') return DEVICE[code];
  if (inner === '') return null;
  return outer === inner ? `Normal, ${outer}` : `Normal, outer ${outer}, inner ${inner}`;
}

/** MemAttr as in a stage-2 descriptor without FWB; also of MSIs, STE.MemAttr, GBPA.MemAttr. 4, 8 and 12 are reserved. */
export const MEMORY_TYPE: Readonly<Record<number, string>> = Object.fromEntries(
  Array.from({ length: 16 }, (_, code) => [code, memoryType(code)] as const).filter(
    (entry): entry is [number, string] => entry[1] !== null,
  ),
);

/** Allocation hints: 0RWT keeps those of the transaction; 1RWT gives them, R read, W write, T transient (STE.ALLOCCFG, GBPA.ALLOCCFG). */
export const ALLOCATION_OVERRIDE: Readonly<Record<number, string>> = Object.fromEntries(
  Array.from({ length: 16 }, (_, code) => {
    const hints = [code & 4 ? 'RA' : '', code & 2 ? 'WA' : '', code & 1 ? 'transient' : ''].filter(
      (hint) => hint !== '',
    );
    return [code, code < 8 ? 'incoming' : hints.join(' ') || 'no allocation'];
  }),
);

/** Levels that a walk of VMSAv9-128 skips. */
export const SKIP_LEVEL = { 0: '0 levels', 1: '1 level', 2: '2 levels', 3: '3 levels' } as const;

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
