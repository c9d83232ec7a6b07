/**
 * What versions of the kernel's VT-d driver (`drivers/iommu/intel/iommu.c`, `dmar.c`, `cache.c`) do differently, as data.
 * `ideal` is nobody's: it gathers freed tables, flushes, waits, then frees.
 */
export interface DriverVersion {
  readonly name: string;
  /**
   * Which page tables `__domain_mapping` removes before it stores superpages: those under whole superpages of the request, or those under
   * everything up to the end of the request (commit 9906b9352a35, v5.16, mended by dce043c07ca1).
   */
  readonly makesRoom: 'under-superpages' | 'up-to-request-end';
  /** When the removed tables go back to the allocator. `unflushed`: there is no flush (before 38c527aeb419, v5.13). */
  readonly freesTables: 'unflushed' | 'before-flush' | 'after-flush';
  /** The address mask of an unaligned range: its size rounded up (before 59bf3557cf2f, v5.18), or up to its first common bit. */
  readonly addressMask: 'rounded-up' | 'shared-bits';
  /**
   * What becomes of the invalidation hint. In the queue it was lost (`qi_desc_iotlb` built the descriptor with a constant 0 before
   * 6b38a108eeb3, v6.19 and stable); in the register path of 6.12 it lands in bit 0 of AM.
   */
  readonly hint: { readonly queue: 'sent' | 'lost'; readonly register: 'sent' | 'in-address-mask' };
}

const BEFORE_5_13: DriverVersion = {
  name: 'linux-5.11',
  makesRoom: 'under-superpages',
  freesTables: 'unflushed',
  addressMask: 'rounded-up',
  hint: { queue: 'lost', register: 'sent' },
};

export const VERSIONS = {
  'linux-5.11': BEFORE_5_13,
  'linux-5.13': { ...BEFORE_5_13, name: 'linux-5.13', freesTables: 'before-flush' },
  'linux-5.16': { ...BEFORE_5_13, name: 'linux-5.16', freesTables: 'before-flush', makesRoom: 'up-to-request-end' },
  'linux-6.12.117': {
    name: 'linux-6.12.117',
    makesRoom: 'under-superpages',
    freesTables: 'before-flush',
    addressMask: 'shared-bits',
    hint: { queue: 'sent', register: 'in-address-mask' },
  },
  ideal: {
    name: 'ideal',
    makesRoom: 'under-superpages',
    freesTables: 'after-flush',
    addressMask: 'shared-bits',
    hint: { queue: 'sent', register: 'sent' },
  },
} as const satisfies Record<string, DriverVersion>;

export type VersionName = keyof typeof VERSIONS;
