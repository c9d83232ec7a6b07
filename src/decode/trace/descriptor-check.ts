/** Descriptors of VT-d's queue that a trace has (qi_submit): those that no unit takes, as a type is none, or a reserved bit is set. */
import type { Fields, Layout } from '../../bits/index.ts';
import { get, join, reservedSet } from '../../bits/index.ts';
import { WAIT_DSC } from '../../iommu/vtd/commands.ts';
import { suspects } from '../causes.ts';
import type { Finding } from '../finding.ts';
import { NOTHING } from '../finding.ts';
import { decodedOrNull, reservedText } from '../structure.ts';
import { descriptorOf, VTD_DESCRIPTOR } from '../vtd/kinds.ts';

/** By the seven bits of the type. */
const LAYOUTS: readonly (Layout<Fields> | null)[] = Array.from({ length: 128 }, (_, type) =>
  descriptorOf(Int32Array.of((type & 0xf) | ((type >> 4) << 9), 0, 0, 0, 0, 0, 0, 0)),
);

/** @param halves four words, low halves first */
export function isTaken(halves: Int32Array): boolean {
  const layout = LAYOUTS[(get(WAIT_DSC.TYPE_HI, halves) << 4) | get(WAIT_DSC.TYPE, halves)];
  if (layout == null || reservedSet(layout, halves)) return false;
  for (let i = layout.width >> 5; i < halves.length; i++) if (halves[i] !== 0) return false;
  return true;
}

/** Of one that is not taken. */
export function refusedDescriptor(halves: Int32Array): Finding {
  const words = [0, 2, 4, 6].map((at) => join(halves[at], halves[at + 1]));
  const decoded = decodedOrNull(VTD_DESCRIPTOR, words[2] === 0n && words[3] === 0n ? words.slice(0, 2) : words);
  const why =
    decoded === null
      ? 'has no type of the specification'
      : `is none that a unit takes: reserved ${reservedText(decoded)} set`;
  return {
    ...NOTHING,
    kind: 'trace.descriptor',
    model: 'vtd',
    severity: 'error',
    summary: `a descriptor (${decoded?.name ?? 'qi_submit'}) ${why}`,
    structures: decoded === null ? [] : [decoded],
    causes: suspects({ certain: ['descriptor-damaged'] }),
  };
}
