import { describe, expect, test } from 'vitest';
import { RecordedSmmu } from '../../../test/vmm/host.ts';
import type { Workload } from './carrying.ts';
import { CARRIERS, carrierNamed, priceOf, tablePages } from './carrying.ts';
import type { Errno } from './errno.ts';
import { invalidateVsmmu } from './invalidate.ts';
import { kernelNamed } from './kernels.ts';
import type { SharedDevice } from './sharing.ts';
import { guestTargets, layoutOf, SHARING, sharingNamed } from './sharing.ts';
import { commandMasks } from './supported-bits.ts';
import { FlatUserMemory } from './user-memory.ts';

const WORK: Workload = { submits: 10, commands: 100, unaccelerated: 0, smmusUsed: 2 };
/** A device behind each SMMU. */
const devicesOf = (smmus: number): SharedDevice[] =>
  Array.from({ length: smmus }, (_, smmu) => ({ smmu, sid: 0x100, vsid: 0x10 + smmu }));
const price = (sharing: string, carrier: string, smmus = 4, work: Partial<Workload> = {}) =>
  priceOf(layoutOf(sharingNamed(sharing), smmus, devicesOf(smmus)), carrierNamed(carrier), devicesOf(smmus), {
    ...WORK,
    ...work,
  });

describe('the price list for 4 SMMUs, of which 2 use the ASID; 10 times 100 commands', () => {
  test.each([
    ['per-smmu', 'trapped', { tables: 4, exits: 20, ioctls: 2000, copied: 32000, executed: 4000 }],
    ['per-smmu', 'batched', { tables: 4, exits: 20, ioctls: 20, copied: 32000, executed: 2040 }],
    ['per-smmu', 'doorbell', { tables: 4, exits: 20, ioctls: 20, copied: 0, executed: 2040 }],
    ['per-smmu', 'vcmdq', { tables: 4, exits: 0, ioctls: 0, copied: 0, executed: 2020, impossible: null }],
    ['share-2026', 'vcmdq', { tables: 1, exits: 0, ioctls: 0, copied: 0, executed: 2020, impossible: null }],
    ['replicate-vmm', 'batched', { tables: 4, exits: 10, ioctls: 40, copied: 64000, executed: 4080 }],
    ['replicate-kernel', 'batched', { tables: 1, exits: 10, ioctls: 10, copied: 16000, executed: 4080 }],
    ['by-vsid', 'batched', { tables: 1, exits: 10, ioctls: 10, copied: 16000, executed: 4080 }],
    ['replicate-kernel', 'vcmdq', { impossible: expect.stringContaining('one SMMU') }],
    ['replicate-kernel', 'vcmdq-multiply', { exits: 0, executed: 4040, impossible: 'nobody has built it' }],
  ])('%s, %s', (sharing, carrier, expected) => {
    expect(price(sharing, carrier)).toMatchObject(expected);
  });

  test('commands that no guest’s own queue takes go through a trap', () => {
    expect(price('per-smmu', 'vcmdq', 4, { unaccelerated: 3 })).toMatchObject({
      ...{
        exits: 20,
        ioctls: 20,
        copied: 20 * 3 * 16,
        executed: 20 * (97 + 1) + 20 * (3 + 1),
        guestCommands: 20 * 102,
      },
    });
  });

  test('a device behind two of four: who knows that sends half', () => {
    const devices = devicesOf(2);
    const of = layoutOf(sharingNamed('by-vsid'), 4, devices);
    expect(priceOf(of, carrierNamed('batched'), devices, WORK).executed).toBe(2040);
  });

  test('with one SMMU all sharing is the same', () => {
    for (const carrier of CARRIERS) {
      const prices = SHARING.map(({ name }) => ({
        ...price(name, carrier.name, 1, { smmusUsed: 1 }),
        impossible: null,
      }));
      for (const one of prices) expect(one).toEqual(prices[0]);
    }
  });
});

/** What the conversion really issues, with its CMD_SYNCs: the list is what is counted here. */
test.each([
  ['replicate-vmm', 'batched'],
  ['per-smmu', 'batched'],
  ['per-smmu', 'trapped'],
])('the list says what is executed: %s, %s', (sharing, carrierName) => {
  const carrier = carrierNamed(carrierName);
  const devices = devicesOf(4);
  const layout = layoutOf(sharingNamed(sharing), 4, devices);
  const memory = new FlatUserMemory(0n, 4, 0);
  const view = new DataView(memory.bytes.buffer);
  for (let i = 0; i < WORK.commands; i++) view.setBigUint64(16 * i, 0x11n | (7n << 48n), true);
  const { features } = new RecordedSmmu('x');
  let [executed, ioctls] = [0, 0];
  const queue = {
    issue: (_: Int32Array, __: number, commands: number): Errno | null => {
      executed += commands + 1;
      return null;
    },
  };
  const guests = layout.guestSmmus.length === 1 ? [0] : [0, 1];
  for (let submit = 0; submit < WORK.submits; submit++)
    for (const guest of guests)
      for (const { vmid } of guestTargets(layout, guest, devices)) {
        const vsmmu = { vmid, features, masks: commandMasks(features), sidOf: () => -1 };
        const each = carrier.perIoctl === 'one' ? 1 : WORK.commands;
        for (let at = 0; at < WORK.commands; at += each) {
          const array = { type: 1, at: BigInt(16 * at), entryBytes: 16, entries: each };
          const { errno } = invalidateVsmmu(memory, array, vsmmu, queue, kernelNamed('linux-6.18'));
          expect(errno).toBe(null);
          ioctls++;
        }
      }
  expect(price(sharing, carrierName)).toMatchObject({ executed, ioctls });
});

test('pages of a stage-2 table', () => {
  const GIB = 2 ** 30;
  expect(tablePages(64 * GIB, 30)).toBe(2);
  expect(tablePages(64 * GIB, 21)).toBe(2 + 64);
  expect(tablePages(64 * GIB, 12)).toBe(2 + 64 + 64 * 512);
});
