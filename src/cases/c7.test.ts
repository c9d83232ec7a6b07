/** The figures of C7 are counted in runs; here they meet the formulas of `vmm/iommufd/carrying.ts`, which were written without them. */
import { describe, expect, test } from 'vitest';
import { PROFILES } from '../iommu/smmuv3/index.ts';
import { tablePages } from '../vmm/iommufd/carrying.ts';
import { CARRIERS, layoutOf, priceOf, SHARING, unreached } from '../vmm/iommufd/index.ts';
import { devicesOf, isPossible, runDesign, WORKLOAD } from './price-run.ts';
import { GUEST_BYTES, stageTwoPages } from './price-tables.ts';

const [SPEC] = PROFILES;

describe.each(SHARING.map((policy) => [policy.name, policy] as const))('%s', (_, policy) => {
  test.each([1, 2, 8])('%i SMMUs: what a run counts is what the formulas say', (smmus) => {
    const devices = devicesOf(smmus);
    const layout = layoutOf(policy, smmus, devices);
    for (const carrier of CARRIERS) {
      const work = { submits: WORKLOAD.unmaps, commands: WORKLOAD.pages, unaccelerated: 0, smmusUsed: smmus };
      const price = priceOf(layout, carrier, devices, work);
      expect(isPossible({ policy, carrier, smmus })).toBe(price.impossible === null || carrier.name === 'doorbell');
      if (!isPossible({ policy, carrier, smmus })) continue;
      const run = runDesign({ policy, carrier, smmus }, SPEC);
      const { calls, doorbells, executed, guestCommands, guestSmmus, stageTwoTables, vmids } = run;
      expect({
        carrier: carrier.name,
        calls,
        doorbells,
        executed,
        guestCommands,
        guestSmmus,
        stageTwoTables,
        vmids,
      }).toEqual({
        ...{ carrier: carrier.name, calls: price.ioctls, doorbells: price.exits, executed: price.executed },
        ...{ guestCommands: price.guestCommands, guestSmmus: price.guestSmmus },
        ...{ stageTwoTables: price.tables, vmids: price.vmids },
      });
      // Where formulas find devices that no command reaches, the run finds DMA by what was unmapped: in every unmap, of each of them.
      const lost = layout.guestSmmus.reduce((sum, _of, g) => sum + unreached(layout, g, devices).length, 0);
      expect(run.stale).toBe(lost * WORKLOAD.unmaps);
    }
  });
});

test('tables of a guest, mapped one block after the other', () => {
  // From level 1 on: 39 bits of addresses need no table of level 0.
  expect(stageTwoPages()).toBe(tablePages(GUEST_BYTES, 21) - 1);
});
