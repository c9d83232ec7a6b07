import { describe, expect, test } from 'vitest';
import type { SharedDevice } from './sharing.ts';
import { guestTargets, hostTargets, layoutOf, SHARING, sharingNamed, unreached } from './sharing.ts';

/** Three SMMUs; behind the third the guest has nothing. VMIDs differ. */
const DEVICES: readonly SharedDevice[] = [
  { smmu: 0, sid: 0x100, vsid: 0x10 },
  { smmu: 1, sid: 0x100, vsid: 0x11 },
  { smmu: 1, sid: 0x200, vsid: 0x12 },
];
const layout = (name: string) => layoutOf(sharingNamed(name), 3, DEVICES, [5, 7, 9]);
const reached = (name: string) =>
  layout(name).guestSmmus.map((_, guest) =>
    guestTargets(layout(name), guest, DEVICES).map(({ smmu, vmid }) => `${smmu}:${vmid}`),
  );

describe('what a guest’s command reaches', () => {
  test.each([
    ['per-smmu', [['0:5'], ['1:7'], ['2:9']]],
    ['replicate-vmm', [['0:5', '1:7', '2:9']]],
    ['replicate-kernel', [['0:5', '1:7', '2:9']]],
    ['by-vsid', [['0:5', '1:7']]],
    ['children-2023', [['0:5'], ['1:7'], ['2:9']]],
    ['share-2026', [['0:5'], ['1:7'], ['2:9']]],
    ['first-only', [['0:5']]],
    ['vmid-per-device', [['0:5'], ['1:7'], ['2:9']]],
  ])('%s', (name, expected) => {
    expect(reached(name)).toEqual(expected);
  });

  test('has a row for each policy', () => expect(SHARING).toHaveLength(8));

  test.each(SHARING.map((policy) => [policy.name, policy] as const))(
    '%s misses devices just where it is forbidden',
    (name, policy) => {
      const of = layout(name);
      const missed = of.guestSmmus.flatMap((_, guest) => unreached(of, guest, DEVICES));
      expect(missed).toEqual(policy.forbidden === null ? [] : name === 'first-only' ? [1, 2] : [2]);
    },
  );
});

describe('tables and tags', () => {
  test.each([
    ['per-smmu', 3, ['0:5', '1:7', '2:9'], [5, 7, 7]],
    ['replicate-vmm', 3, ['0:5', '1:7', '2:9'], [5, 7, 7]],
    ['replicate-kernel', 1, ['0:5', '1:7', '2:9'], [5, 7, 7]],
    ['share-2026', 1, ['0:5', '1:7', '2:9'], [5, 7, 7]],
    ['vmid-per-device', 4, ['0:5', '1:7', '1:8', '2:9'], [5, 7, 8]],
  ])('%s', (name, tables, vmids, vmidOf) => {
    const of = layout(name);
    expect(of.tables).toHaveLength(tables);
    expect(of.vmids.map(({ smmu, vmid }) => `${smmu}:${vmid}`)).toEqual(vmids);
    expect(of.vmidOf).toEqual(vmidOf);
  });

  test.each(SHARING.map(({ name }) => name))(
    '%s: what the kernel changes is invalidated under every tag that has it',
    (name) => {
      const of = layout(name);
      const all = of.tables.flatMap((_, table) => hostTargets(of, table)).map(({ smmu, vmid }) => `${smmu}:${vmid}`);
      expect(all.sort()).toEqual(of.vmids.map(({ smmu, vmid }) => `${smmu}:${vmid}`).sort());
    },
  );

  test('a table of one SMMU’s is invalidated there only', () => {
    expect(hostTargets(layout('per-smmu'), 1)).toEqual([{ smmu: 1, vmid: 7 }]);
    expect(hostTargets(layout('share-2026'), 0)).toHaveLength(3);
  });
});
