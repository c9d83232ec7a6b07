/** What `iommu_map` and `iommu_unmap` promise, around what a driver does for them. Ranges are in pages of 4 KiB. */
import { hex } from '../../bits/index.ts';
import type { Machine, Program } from '../../machine/index.ts';

const bytes = (pages: number) => hex(BigInt(pages) << 12n);

/** @param did domain. @param body what the driver does */
export function* iommuMap(
  machine: Machine,
  did: number,
  [first, frame, pages]: readonly [number, number, number],
  body: () => Program,
): Program {
  const { grants } = machine;
  const what = `iommu_map(${bytes(first)}, ${bytes(frame)}, ${bytes(pages)})`;
  yield* machine.note(what, 'before', () => grants.begin(did, first, pages));
  yield* body();
  yield* machine.note('iommu_map returns', 'after', () => grants.granted(did, first, pages, frame));
}

/** See {@link iommuMap}. */
export function* iommuUnmap(machine: Machine, did: number, first: number, pages: number, body: () => Program): Program {
  const { grants } = machine;
  const what = `iommu_unmap(${bytes(first)}, ${bytes(pages)})`;
  yield* machine.note(what, 'before', () => grants.begin(did, first, pages));
  yield* body();
  yield* machine.note('iommu_unmap returns', 'after', () => grants.revoked(did, first, pages));
}
