/** Bits of scalable-mode structures that must be 0 in a unit: those of the declarations, and those that its capabilities and widths add. */
import type { Field, Layout } from '../../bits/index.ts';
import { maskOf } from '../../bits/index.ts';
import type { Capabilities } from './capabilities.ts';
import {
  FS_PAGE,
  FS_TABLE,
  PASID_DIRECTORY_ENTRY,
  PASID_TABLE_ENTRY,
  SM_CONTEXT_ENTRY,
  SM_ROOT_ENTRY,
} from './scalable-structures.ts';

type AnyLayout = Layout<Readonly<Record<string, Field>>>;

/** The declared reserved bits, and those of the fields. */
function withFields(of: AnyLayout, fields: readonly Field[]): Int32Array {
  const masks = Int32Array.from(of.reserved);
  for (const field of fields) {
    const mask = maskOf(field, masks.length);
    for (let i = 0; i < masks.length; i++) masks[i] |= mask[i];
  }
  return masks;
}

/** Adds bits `top`:`from` of a qword. */
function addAbove(masks: Int32Array, qword: number, from: number, top: number): void {
  for (let n = from; n <= top; n++) masks[2 * qword + (n >> 5)] |= 1 << (n & 31);
}

function addDid(masks: Int32Array, field: Field, didBits: number): void {
  addAbove(masks, field.lo >> 6, (field.lo & 63) + didBits, field.hi & 63);
}

/** Masks over 32-bit halves. */
export interface ScalableReserved {
  /** Lower and upper half are of one kind: halves 0, 1 and 2, 3. */
  readonly root: Int32Array;
  readonly context: Int32Array;
  readonly directory: Int32Array;
  readonly entry: Int32Array;
  /** First-stage entries: lower half of one that references a table, and of a leaf, by level; upper half of any. */
  readonly firstTableLo: Int32Array;
  readonly firstLeafLo: Int32Array;
  readonly firstHi: number;
}

/** @param ofPasids whether the unit looks at those of PASID-directory and PASID-table entries (a decision of its profile) */
export function scalableReserved({ cap, ecap, haw, didBits }: Capabilities, ofPasids: boolean): ScalableReserved {
  const root = withFields(SM_ROOT_ENTRY, []);
  addAbove(root, 0, haw, 63);
  addAbove(root, 1, haw, 63);

  const c = SM_CONTEXT_ENTRY;
  const context = withFields(c, [
    ...(ecap.DT === 0 ? [c.DTE] : []),
    ...(ecap.PASID === 0 ? [c.PASIDE] : []),
    ...(ecap.PRS === 0 ? [c.PRE] : []),
    ...(ecap.HPTS === 0 ? [c.HPTE] : []),
    ...(ecap.PTRS === 0 ? [c.EPTR] : []),
    ...(ecap.RPS === 0 ? [c.RID_PASID] : []),
    ...(ecap.RPRIVS === 0 ? [c.RID_PRIV] : []),
  ]);
  addAbove(context, 0, haw, 63);

  const directory = withFields(PASID_DIRECTORY_ENTRY, []);
  addAbove(directory, 0, haw, 63);

  const e = PASID_TABLE_ENTRY;
  const entry = withFields(e, [
    ...(ecap.SSTS === 0 ? [e.AW, e.SSPTPTR] : []),
    ...(ecap.SSTS === 0 || ecap.SSADS === 0 ? [e.SSADE] : []),
    ...(ecap.SMPWCS === 0 ? [e.PWSNP] : []),
    ...(ecap.SC === 0 ? [e.PGSNP] : []),
    ...(ecap.MTS === 0 ? [e.CD, e.EMTE, e.PAT] : []),
    ...(ecap.SRS === 0 ? [e.SRE] : []),
    ...(ecap.FSTS === 0 ? [e.FSPM, e.WPE, e.FSPTPTR] : []),
    ...(ecap.EAFS === 0 ? [e.EAFE] : []),
    ...(ecap.HPTS === 0 ? [e.HPTSZ, e.HPTPFD, e.HPTPTR, e.HPTDID] : []),
  ]);
  for (const qword of [0, 2, 4]) addAbove(entry, qword, haw, 63);
  addDid(entry, e.DID, didBits);
  addDid(entry, e.HPTDID, didBits);

  if (!ofPasids) {
    directory.fill(0);
    entry.fill(0);
  }

  // 3.6: PS where no such page is, and the address bits below a large page's size but for PAT.
  const ps = 1 << FS_TABLE.PS.lo;
  const table = FS_TABLE.reserved[0];
  const leaf = FS_PAGE.reserved[0];
  const first = Int32Array.from(FS_TABLE.reserved);
  addAbove(first, 0, haw, 51);
  return {
    root,
    context,
    directory,
    entry,
    firstTableLo: Int32Array.of(0, table, table, table, table | ps, table | ps),
    firstLeafLo: Int32Array.of(
      0,
      leaf,
      leaf | 0x001fe000,
      leaf | 0x3fffe000 | (cap.FS1GP === 0 ? ps : 0),
      leaf | ps,
      leaf | ps,
    ),
    firstHi: first[1],
  };
}
