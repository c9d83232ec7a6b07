import { encode64, hex } from '../bits/index.ts';
import type { PasidTranslation, TableFormat } from '../guest/index.ts';
import { FIRST_STAGE, FirstStageInvalidation } from '../guest/index.ts';
import { FS_PAGE } from '../iommu/vtd/index.ts';
import type { Machine } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { DIRECTORY, ScalableScene } from './scalable-scene.ts';
import { SID } from './unit-scene.ts';

/** Domain id of all address spaces of processes (`FLPT_DEFAULT_DID`), and the PASID of this one. */
const DID = 1;
const PASID = 1;

/** An address of the vmalloc area, which every process has in the upper half of its tables. */
const KERNEL_ADDRESS = 0xffffc90000001000n;
const BUFFER = 0x21d200000n;
const SECRET = 0x21d300000n;

/**
 * Entries of the kernel's own tables: those that reference a table have U/S set as a user's have (x86, `pmd_populate_kernel`), and only the
 * leaves keep users out. So a walk for a user goes down to the leaf, and may cache what it has read on the way.
 */
const KERNEL_TABLES: TableFormat = {
  ...FIRST_STAGE,
  leaf: encode64(FS_PAGE, { P: 1, RW: 1, A: 1, D: 1, G: 1 }),
};

const NEVER_GRANTED = 'the address is not granted to the device: nothing is translated as long as the case holds';

/** What a process writes into a page that it has got, to be taken for a leaf: a page of somebody else, for users, writable. */
const FORGED = SECRET | FIRST_STAGE.leaf;

/**
 * A device walks the tables of a process (SVA), and the process makes it ask for a kernel address. The kernel takes the table page of that
 * address out of its tables, tells its CPUs, and gives the page back; the process gets it.
 */
function build({ variant, profile, mutant }: Setup): Machine {
  const scene = new ScalableScene({ profile });
  const { machine, cpu } = scene;
  const space = scene.space({
    did: DID,
    name: 'the process',
    format: KERNEL_TABLES,
    at: KERNEL_ADDRESS,
    ptEntries: [1],
  });
  const translation: PasidTranslation = { by: 'first-stage', did: DID, first: space.top };
  scene.directory('', DIRECTORY, [PASID]);
  scene.attach(DIRECTORY);
  scene.enter(DIRECTORY, PASID, translation);
  scene.premap(space, KERNEL_ADDRESS, BUFFER);
  machine.frame('vmalloc page', BUFFER, machine.owner('the kernel', 'other'));
  machine.frame('secret', SECRET, machine.owner('the kernel', 'other'), [0]);
  machine.device('accel', SID, DID, [KERNEL_ADDRESS], { pasid: PASID }).stray([KERNEL_ADDRESS], 'write', 2);

  const iotlb = new FirstStageInvalidation(scene.invalidation, PASID, 'pasid');
  const pages = new FirstStageInvalidation(scene.invalidation, PASID, 'page');
  const pfn = Number(BigInt.asUintN(52, KERNEL_ADDRESS >> 12n));
  const flush = () =>
    mutant === 'leaves-only' ? pages.flushPages({ did: DID, pfn, am: 0, hint: true }) : iotlb.flushDomain(DID);
  const pd = space.pd;
  machine.actor('kernel', function* () {
    // pmd_free_pte_page(): the vmalloc area is free, and so is its page table.
    yield* cpu.write64(pd, 0n, `clears PDE[0] at ${hex(pd)}; the CPUs flush their TLBs`);
    // iommu_sva_invalidate_kva_range()
    if (variant === 'flush' && mutant !== 'freed-first') yield* flush();
    yield* space.pool.release(space.pt);
    if (mutant === 'freed-first') yield* flush();
  });
  machine.actor('process', function* () {
    const page = yield* space.pool.alloc(machine.owner('the process', 'other'));
    yield* cpu.write64(page + 8n, FORGED, `writes ${hex(FORGED)} into it, as its PTE[1] would be`);
  });
  return machine;
}

export const D6 = defineCase({
  id: 'D6',
  title: "shared virtual addressing: a page of the kernel's page tables is freed while the IOMMU has it cached",
  thread: '003',
  model: 'vtd',
  invariants: ['I2', 'I3'],
  variants: { 'no-flush': 'violated', flush: 'holds' },
  mutants: {
    'freed-first': { variant: 'flush', title: 'the page is freed before the IOTLB is flushed' },
    'leaves-only': { variant: 'flush', title: 'the flush says that only leaves were changed' },
  },
  unfired: {
    'iotlb.use': NEVER_GRANTED,
    'iotlb.evict': NEVER_GRANTED,
    'paging.survive-hint': 'the flush is of all of the PASID, which knows no hint',
    'invalidation.overtake': NEVER_GRANTED,
  },
  build,
});
