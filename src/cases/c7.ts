/** What the ways of sharing stage 2 and of carrying a guest's invalidations cost: each is run, and counted. */
import type { Carrier, SharingPolicy } from '../vmm/iommufd/index.ts';
import { CARRIERS, carrierNamed, SHARING, sharingNamed } from '../vmm/iommufd/index.ts';
import type { Figures, MeasureSetup } from './measure.ts';
import { defineMeasure } from './measure.ts';
import { isPossible, runDesign, WORKLOAD } from './price-run.ts';
import { GUEST_BYTES, stageTwoPages } from './price-tables.ts';

const SMMUS = [1, 2, 4, 8];
const TABLE_BYTES = 4096;

/** By variant: what is compared. */
const DESIGNS: Readonly<Record<string, readonly (readonly [SharingPolicy, Carrier])[]>> = {
  sharing: SHARING.map((policy) => [policy, carrierNamed('batched')]),
  carrying: ['per-smmu', 'replicate-vmm'].flatMap((name) =>
    CARRIERS.map((carrier) => [sharingNamed(name), carrier] as const),
  ),
};

function measure({ variant, profile }: MeasureSetup<'smmuv3'>): Figures {
  const pages = stageTwoPages();
  const rows = DESIGNS[variant].flatMap(([policy, carrier]) =>
    SMMUS.flatMap((smmus) => {
      if (!isPossible({ policy, carrier, smmus })) return [];
      const { firmware, stageTwoTables, ...counted } = runDesign({ policy, carrier, smmus }, profile);
      return [
        {
          ...{ sharing: policy.name, carrying: carrier.name, smmus, tables: stageTwoTables },
          tableBytes: stageTwoTables * pages * TABLE_BYTES,
          ...counted,
          ...{ nodes: firmware.nodes, mappings: firmware.mappings, firmwareBytes: firmware.bytes },
        },
      ];
    }),
  );
  return { columns: COLUMNS, rows };
}

const COLUMNS = [
  { key: 'sharing', title: 'sharing' },
  { key: 'carrying', title: 'carrying' },
  { key: 'smmus', title: 'SMMUs' },
  { key: 'tables', title: 'stage-2 tables' },
  { key: 'tableBytes', title: 'bytes of them' },
  { key: 'vmids', title: 'VMIDs' },
  { key: 'guestSmmus', title: 'guest’s SMMUs' },
  { key: 'guestCommands', title: 'guest’s commands' },
  { key: 'doorbells', title: 'exits: doorbells' },
  { key: 'polls', title: 'exits: polls' },
  { key: 'calls', title: 'system calls' },
  { key: 'executed', title: 'SMMUs’ commands' },
  { key: 'stale', title: 'stale DMA' },
  { key: 'nodes', title: 'IORT nodes' },
  { key: 'mappings', title: 'id mappings' },
  { key: 'firmwareBytes', title: 'bytes of IORT' },
] as const;

const MIB = 2 ** 20;

export const C7 = defineMeasure({
  id: 'C7',
  title: 'price list: stage 2 of one guest on several SMMUs, and its invalidations',
  thread: '002',
  model: 'smmuv3',
  variants: {
    sharing: 'ways of sharing stage 2, invalidations in batches',
    carrying: 'ways of carrying invalidations, by two ways of sharing',
  },
  notes: [
    `each row is a run: ${WORKLOAD.devices} devices, spread evenly, do DMA to a buffer that the guest unmaps, ${WORKLOAD.unmaps} times: ${WORKLOAD.pages} TLBI_NH_VA and a CMD_SYNC to each SMMU that it sees`,
    `bytes of tables are those of ${GUEST_BYTES / MIB} MiB in blocks of 2 MiB, which the driver's own code maps; commands count CMD_SYNCs`,
    'polls are looks at CMDQ_CONS, which trap where the queue is emulated; a guest that has CMD_SYNC write an MSI has none',
    'stale DMA: devices that reached the page after its unmap had returned, which is why first-only and vmid-per-device are no designs',
    'a queue in hardware belongs to one SMMU: no row where the guest sees one SMMU for several; vcmdq-multiply does not exist, see C1',
  ],
  measure,
});
