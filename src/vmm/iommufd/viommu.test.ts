import { describe, expect, test } from 'vitest';
import { deviceOf, host, taken, USER } from '../../../test/vmm/host.ts';
import { attachDevice, bindDevice, replaceDevice, unbindDevice } from './device.ts';
import { HWPT_ALLOC_FLAGS, HWPT_DATA, INVALIDATE_DATA, VIOMMU_TYPE } from './flags.ts';
import {
  call,
  IOMMU_DESTROY,
  IOMMU_HWPT_ALLOC,
  IOMMU_HWPT_INVALIDATE,
  IOMMU_IOAS_ALLOC,
  IOMMU_VDEVICE_ALLOC,
  IOMMU_VIOMMU_ALLOC,
} from './ioctl.ts';
import { nestedSte, stage2Ste, validateGuestSte } from './nested-ste.ts';

const { ARM_SMMUV3, DEFAULT, TEGRA241_CMDQV } = VIOMMU_TYPE;

/** A device with a stage 2 that may be a parent; VMID 1. */
function nesting(...options: Parameters<typeof host>) {
  const it = host(...options);
  const { fd, smmu } = it;
  const ioas = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
  const device = taken(bindDevice(fd, deviceOf(smmu, 0x108)));
  const flags = HWPT_ALLOC_FLAGS.NEST_PARENT;
  const parent = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas, flags }).out_hwpt_id;
  const create = (over = {}) =>
    call(fd, IOMMU_VIOMMU_ALLOC, { type: ARM_SMMUV3, dev_id: device.id, hwpt_id: parent, ...over });
  const vdevice = (viommu_id: number, over = {}) =>
    call(fd, IOMMU_VDEVICE_ALLOC, { viommu_id, dev_id: device.id, virt_id: 0x10n, ...over });
  const nested = (pt_id: number, ste: readonly [bigint, bigint], over = {}) => {
    const view = new DataView(it.memory.bytes.buffer);
    ste.forEach((word, i) => view.setBigUint64(8 * i, word, true));
    const data = { data_type: HWPT_DATA.ARM_SMMUV3, data_len: 16, data_uptr: USER };
    return call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id, ...data, ...over });
  };
  const destroy = (id: number) => call(fd, IOMMU_DESTROY, { id }).errno;
  return { ...it, ioas, device, parent, create, vdevice, nested, destroy };
}

describe('a vIOMMU', () => {
  test.each([
    ['of the type that is reserved', { type: DEFAULT }, 'EOPNOTSUPP'],
    ['of a type that is unknown', { type: 9 }, 'EOPNOTSUPP'],
    ['with queues that the SMMU has not', { type: TEGRA241_CMDQV }, 'EOPNOTSUPP'],
    ['with flags', { flags: 1 }, 'EOPNOTSUPP'],
    ['of no device', { dev_id: 99 }, 'ENOENT'],
    ['on nothing', { hwpt_id: 99 }, 'ENOENT'],
  ])('%s', (_, over, errno) => {
    expect(nesting().create(over).errno).toBe(errno);
  });

  test('on what is no parent, and on the parent of another SMMU', () => {
    const { create, device, fd, ioas, otherSmmu } = nesting();
    const plain = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas }).out_hwpt_id;
    expect(create({ hwpt_id: plain }).errno).toBe('EINVAL');
    expect(create({ hwpt_id: ioas }).errno).toBe('ENOENT');
    const other = taken(bindDevice(fd, deviceOf(otherSmmu, 0x108)));
    expect(create({ dev_id: other.id }).errno).toBe('EINVAL');
  });

  test('where a guest could make DMA non-coherent', () => {
    expect(nesting({}, { forcesCoherency: false }).create().errno).toBe('EOPNOTSUPP');
  });

  test('holds its parent', () => {
    const { create, destroy, parent } = nesting();
    const { out_viommu_id } = create();
    expect(destroy(parent)).toBe('EBUSY');
    expect(destroy(out_viommu_id)).toBe(null);
    expect(destroy(parent)).toBe(null);
  });
});

describe('a vDEVICE', () => {
  test('one for a device, one for an id', () => {
    const { create, destroy, fd, smmu, vdevice } = nesting();
    const viommu = create().out_viommu_id;
    const second = taken(bindDevice(fd, deviceOf(smmu, 0x200)));
    const { errno, out_vdevice_id } = vdevice(viommu);
    expect(errno).toBe(null);
    expect(vdevice(viommu, { virt_id: 0x11n }).errno).toBe('EEXIST');
    expect(vdevice(viommu, { dev_id: second.id }).errno).toBe('EEXIST');
    expect(vdevice(viommu, { dev_id: second.id, virt_id: 0x11n }).errno).toBe(null);
    expect(destroy(viommu)).toBe('EBUSY');
    expect(destroy(out_vdevice_id)).toBe(null);
    expect(vdevice(viommu).errno).toBe(null);
  });

  test('of another SMMU, of no device, of no vIOMMU', () => {
    const { create, fd, otherSmmu, vdevice } = nesting();
    const viommu = create().out_viommu_id;
    const other = taken(bindDevice(fd, deviceOf(otherSmmu, 0x108)));
    expect(vdevice(viommu, { dev_id: other.id }).errno).toBe('EINVAL');
    expect(vdevice(viommu, { dev_id: 99 }).errno).toBe('ENOENT');
    expect(vdevice(99).errno).toBe('ENOENT');
  });

  test('goes with its device; its id is not used again while user space believes in it', () => {
    const { create, destroy, device, fd, vdevice } = nesting();
    const viommu = create().out_viommu_id;
    const { out_vdevice_id } = vdevice(viommu);
    unbindDevice(device);
    expect(destroy(out_vdevice_id)).toBe('ENOENT');
    const ids = [0, 1, 2].map(() => call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id);
    expect(ids).not.toContain(out_vdevice_id);
    expect(ids).toContain(device.id);
    expect(destroy(viommu)).toBe(null);
  });
});

const STAGE_1 = 0b1011n;
const BYPASS = 0b1001n;
const ABORT = 0b0001n;

describe('a guest’s STE', () => {
  test.each<[string, [bigint, bigint], string | null]>([
    ['stage 1', [STAGE_1 | 0x12340000n | (8n << 59n), 0b10n], null],
    ['bypass', [BYPASS, 0n], null],
    ['abort', [ABORT, 0n], null],
    ['not valid: whatever else stands there', [0xfff0n, 0xffff_ffffn], null],
    ['stage 2', [0b1101n, 0n], 'EIO'],
    ['both stages', [0b1111n, 0n], 'EIO'],
    ['a reserved configuration', [0b0011n, 0n], 'EIO'],
    ['a pointer above bit 51', [STAGE_1 | (1n << 52n), 0n], 'EIO'],
    ['a field of the host’s: STRW', [STAGE_1, 2n << 30n], 'EIO'],
    ['a field of the host’s: MEV', [STAGE_1, 1n << 19n], 'EIO'],
    ['full ATS', [STAGE_1, 1n << 28n], null],
    ['split-stage ATS', [STAGE_1, 2n << 28n], 'EIO'],
  ])('%s', (_, ste, errno) => {
    const { create, nested } = nesting();
    expect(nested(create().out_viommu_id, ste).errno).toBe(errno);
  });

  test('of another type, size or address', () => {
    const { create, nested, parent } = nesting();
    const viommu = create().out_viommu_id;
    expect(nested(viommu, [STAGE_1, 0n], { data_type: HWPT_DATA.VTD_S1 }).errno).toBe('EINVAL');
    expect(nested(viommu, [STAGE_1, 0n], { data_len: 8 }).errno).toBe('EINVAL');
    expect(nested(viommu, [STAGE_1, 0n], { data_len: 24 }).errno).toBe('EINVAL');
    expect(nested(viommu, [STAGE_1, 0n], { data_uptr: 8n }).errno).toBe('EFAULT');
    expect(nested(viommu, [STAGE_1, 0n], { flags: HWPT_ALLOC_FLAGS.PASID }).errno).toBe('EOPNOTSUPP');
    // SMMUv3 nests by vIOMMU only.
    expect(nested(parent, [STAGE_1, 0n]).errno).toBe('EOPNOTSUPP');
  });

  test('of a device of another SMMU', () => {
    const { create, fd, nested, otherSmmu } = nesting();
    const viommu = create().out_viommu_id;
    const other = taken(bindDevice(fd, deviceOf(otherSmmu, 1)));
    expect(nested(viommu, [STAGE_1, 0n], { dev_id: other.id }).errno).toBe('EINVAL');
  });

  test('needs a vDEVICE once it translates, and holds the vIOMMU', () => {
    const { create, destroy, device, hardware, nested, vdevice } = nesting();
    const viommu = create().out_viommu_id;
    const bypass = nested(viommu, [BYPASS, 0n]).out_hwpt_id;
    const stage1 = nested(viommu, [STAGE_1 | 0x40000n, 0n]).out_hwpt_id;
    expect(attachDevice(device, stage1)).toBe('ENOENT');
    expect(attachDevice(device, bypass)).toBe(bypass);
    expect(hardware.streams.get(0x108)).toMatchObject({ kind: 'nested', vmid: 1 });
    expect(replaceDevice(device, stage1)).toBe('ENOENT');
    expect(device.hwpt?.id).toBe(bypass);
    expect(vdevice(viommu).errno).toBe(null);
    expect(replaceDevice(device, stage1)).toBe(stage1);
    expect([destroy(viommu), destroy(stage1), destroy(bypass)]).toEqual(['EBUSY', 'EBUSY', null]);
  });
});

describe('the physical STE', () => {
  const root = { S2TTB: 0x8000_0000n, S2T0SZ: 24, S2SL0: 1, S2TG: 0, S2PS: 5, S2FWB: 1 };
  const words = (halves: Int32Array) =>
    Array.from({ length: 4 }, (_, i) =>
      BigInt.asUintN(64, (BigInt(halves[2 * i + 1]) << 32n) | BigInt(halves[2 * i] >>> 0)),
    );

  // Bits from Linux's masks: S2VMID 15:0, T0SZ 37:32, SL0 39:38, IR0 41:40, OR0 43:42, SH0 45:44, TG 47:46, PS 50:48, AA64 51, PTW 54, R 58.
  const second =
    0x2an |
    (24n << 32n) |
    (1n << 38n) |
    (1n << 40n) |
    (1n << 42n) |
    (3n << 44n) |
    (5n << 48n) |
    (1n << 51n) |
    (1n << 54n) |
    (1n << 58n);
  const SHCFG_INCOMING = 1n << 44n;
  const FWB = 1n << 25n;

  test('of stage 2', () => {
    expect(words(stage2Ste(root, 0x2a, false))).toEqual([0b1101n, SHCFG_INCOMING | FWB, second, 0x8000_0000n]);
    expect(words(stage2Ste(root, 0x2a, true))[1]).toBe(SHCFG_INCOMING | FWB | (1n << 28n));
  });

  test('of a guest’s stage 1: its first word, the host’s second with events merged', () => {
    const guest = taken(validateGuestSte(STAGE_1 | 0x12340000n | (8n << 59n), 0b10n | (1n << 27n)));
    expect(words(nestedSte(guest, root, 0x2a, false))).toEqual([
      0b1111n | 0x12340000n | (8n << 59n),
      SHCFG_INCOMING | FWB | 0b10n | (1n << 27n) | (1n << 19n),
      ...[second, 0x8000_0000n],
    ]);
  });

  test('of a guest’s bypass: stage 2 alone; of its abort, or of none: abort', () => {
    const of = (ste0: bigint) => words(nestedSte(taken(validateGuestSte(ste0, 0n)), root, 0x2a, false));
    expect(of(BYPASS)).toEqual(words(stage2Ste(root, 0x2a, false)));
    expect(of(ABORT)).toEqual([1n, 0n, 0n, 0n]);
    expect(of(0n)).toEqual([1n, 0n, 0n, 0n]);
  });
});

describe('IOMMU_HWPT_INVALIDATE', () => {
  test('on a vSMMU: VMID and StreamID of the host', () => {
    const { create, fd, hardware, memory, vdevice } = nesting();
    const viommu = create().out_viommu_id;
    vdevice(viommu);
    const view = new DataView(memory.bytes.buffer);
    // TLBI_NH_ASID of VMID 9, ATC_INV of vStreamID 0x10.
    [0x11n | (9n << 32n) | (7n << 48n), 0n, 0x40n | (0x10n << 32n), 52n].forEach((word, i) =>
      view.setBigUint64(8 * i, word, true),
    );
    const cmd = {
      ...{ hwpt_id: viommu, data_uptr: USER, data_type: INVALIDATE_DATA.ARM_SMMUV3 },
      ...{ entry_len: 16, entry_num: 2 },
    };
    const run = (over = {}) => call(fd, IOMMU_HWPT_INVALIDATE, { ...cmd, ...over });
    expect(run()).toMatchObject({ errno: null, entry_num: 2 });
    expect(hardware.takeCommands()).toEqual(['7000100000011', '10800000040']);
    expect(run({ __reserved: 1 })).toMatchObject({ errno: 'EOPNOTSUPP', entry_num: 0 });
    expect(run({ entry_len: 0 })).toMatchObject({ errno: 'EINVAL', entry_num: 0 });
    expect(run({ data_uptr: 0n })).toMatchObject({ errno: 'EINVAL', entry_num: 0 });
    expect(run({ hwpt_id: 99 })).toMatchObject({ errno: 'ENOENT', entry_num: 0 });
    expect(hardware.takeCommands()).toEqual([]);
  });

  test('on what has none', () => {
    const { create, device, fd, nested, parent, ioas } = nesting();
    const nestedId = nested(create().out_viommu_id, [STAGE_1, 0n]).out_hwpt_id;
    const run = (hwpt_id: number) => call(fd, IOMMU_HWPT_INVALIDATE, { hwpt_id }).errno;
    expect([ioas, parent, device.id].map(run)).toEqual(['EINVAL', 'EINVAL', 'EINVAL']);
    expect(run(nestedId)).toBe('EOPNOTSUPP');
  });

  test('a vDEVICE that is gone is not found any more', () => {
    const { create, destroy, fd, memory, vdevice } = nesting();
    const viommu = create().out_viommu_id;
    const { out_vdevice_id } = vdevice(viommu);
    new DataView(memory.bytes.buffer).setBigUint64(0, 0x06n | (0x10n << 32n), true);
    const cmd = { hwpt_id: viommu, data_uptr: USER, data_type: 1, entry_len: 16, entry_num: 1 };
    expect(call(fd, IOMMU_HWPT_INVALIDATE, cmd).errno).toBe(null);
    destroy(out_vdevice_id);
    expect(call(fd, IOMMU_HWPT_INVALIDATE, cmd)).toMatchObject({ errno: 'EIO', entry_num: 0 });
  });
});
