/** AMD-Vi's page tables: the host's (version 1, AMD-Vi 2.2.3) with levels that are left out, and a guest's (version 2, 2.2.6) with its GCR3 table. */

import { high, low } from '../../../bits/index.ts';
import { EVENTS } from '../../../iommu/amdvi/events.ts';
import { isLeaf, pageBits } from '../../../iommu/amdvi/structures.ts';
import type { Code } from '../../finding.ts';
import type { DecodedStructure } from '../../structure.ts';
import { bitsText, fieldOf } from '../../structure.ts';
import type { Level, Next } from '../radix.ts';
import { descend, sizeOf } from '../radix.ts';
import type { Reader } from '../reader.ts';
import { fail } from '../reader.ts';
import type { WalkAccess } from '../walk.ts';

export const EVENT = { illegalEntry: 1, pageFault: 2, invalidRequest: 8 } as const;

export function eventCode(event: (typeof EVENT)[keyof typeof EVENT]): Code {
  const { clause, name, text } = EVENTS[event];
  return { value: event, name, meaning: text, clause };
}

/** A request that its paging entries refuse. @param why with the flags that the event has then */
export function pageFault(why: string): never {
  return fail(eventCode(EVENT.pageFault), why);
}

/** Levels of the host, top first; Mode says how many there are. */
const HOST: readonly Level[] = [6, 5, 4, 3, 2, 1].map((number) => ({
  ...{ kind: 'amdvi.pte', name: `level-${number} entry`, shift: 12 + 9 * (number - 1), bits: 9, bytes: 8, valid: 'PR' },
}));

/** Of a guest: those of AMD64's long mode; the last is the page table entry. */
const GUEST: readonly Level[] = ['PML5E', 'PML4E', 'PDPE', 'PDE', 'PTE'].map((name, i) => ({
  ...{ kind: name === 'PTE' ? 'amdvi.guest-pte' : 'amdvi.guest-pde', name: `guest ${name}`, valid: 'P' },
  ...{ shift: 12 + 9 * (4 - i), bits: 9, bytes: 8 },
}));
/** The lowest three levels alone may have pages. */
const HIGHEST_GUEST_PAGE = 30;

/** GCR3 tables by PASID; GLX says how many levels there are (2.2.2.1). */
const GCR3: readonly Level[] = [18, 9, 0].map((shift, i) => ({
  ...{ kind: 'amdvi.gcr3', name: i === 2 ? 'GCR3 entry' : `level-${3 - i} GCR3 entry`, valid: 'V' },
  ...{ shift, bits: i === 0 ? 2 : 9, bytes: 8 },
}));

/** What a walk of one stage gives. */
export interface Leaf {
  readonly address: bigint;
  readonly bytes: bigint;
}

/** Where a host's tables begin, and what the device table entry lets pass. */
export interface Host {
  readonly mode: number;
  readonly table: bigint;
  readonly mayRead: boolean;
  readonly mayWrite: boolean;
}

export class AmdPages {
  private readonly reader: Reader;
  private readonly host: Host;

  constructor(reader: Reader, host: Host) {
    this.reader = reader;
    this.host = host;
  }

  /** A request of the device: IR and IW are ANDed over the device table entry and all levels. @returns null without translation @throws Ended */
  translate(address: bigint, access: WalkAccess, depth = 0): Leaf | null {
    const { mayRead, mayWrite } = this.host;
    if (!(access === 'read' ? mayRead : mayWrite))
      pageFault(`${access === 'read' ? 'IR' : 'IW'} is 0 in the device table entry`);
    return this.throughHost(address, access, depth);
  }

  private throughHost(address: bigint, access: WalkAccess, depth: number): Leaf | null {
    const { mode, table } = this.host;
    const right = access === 'read' ? 'IR' : 'IW';
    if (mode === 0) return null;
    const levels = HOST.slice(HOST.length - mode);
    if (address >> BigInt(12 + 9 * mode) !== 0n) pageFault(`the address has more bits than ${mode} levels translate`);
    return descend<Leaf>(this.reader, {
      ...{ levels, table, key: address, depth },
      visit: (entry, { shift }) => this.hostEntry(entry, (shift - 12) / 9 + 1, address, right),
    });
  }

  private hostEntry(entry: DecodedStructure, level: number, address: bigint, right: 'IR' | 'IW'): Next<Leaf> {
    if (fieldOf(entry, 'PR') === 0n) pageFault('PR is 0');
    const reserved = entry.reserved[0];
    if (reserved !== undefined) pageFault(`bits ${bitsText(reserved)} are reserved, and set`);
    if (fieldOf(entry, right) === 0n) pageFault(`${right} is 0`);
    const next = Number(fieldOf(entry, 'NextLevel'));
    const frame = fieldOf(entry, 'Address');
    if (isLeaf(next)) {
      const bytes = 1n << BigInt(Math.min(64, pageBits(low(frame), high(frame), next, level)));
      return { end: { address: (frame & ~(bytes - 1n)) | (address & (bytes - 1n)), bytes } };
    }
    if (next >= level) pageFault(`NextLevel ${next} is not below level ${level}`);
    // The levels that are left out have no index of their own to choose by.
    const between = (address >> BigInt(12 + 9 * next)) & ((1n << BigInt(9 * (level - 1 - next))) - 1n);
    if (between !== 0n) pageFault(`NextLevel ${next} leaves levels out, and address bits of theirs are set`);
    return { table: frame, skip: level - 1 - next };
  }

  /** A guest's tables, whose addresses the host's translate. @param count 4 or 5 levels */
  guest(root: bigint, count: number, address: bigint, access: WalkAccess): Leaf {
    const width = 12 + 9 * count;
    const top = address >> BigInt(width - 1);
    if (top !== 0n && top !== (1n << BigInt(65 - width)) - 1n) pageFault('the address is not canonical');
    return descend<Leaf>(this.reader, {
      ...{ levels: GUEST.slice(GUEST.length - count), table: root, key: address },
      place: (at) => this.throughHost(at, 'read', 1)?.address ?? at,
      visit: (entry, level) => {
        const is = (name: string) => fieldOf(entry, name) === 1n;
        if (!is('P')) pageFault('P is 0 in the guest entry');
        const large = level.shift > 12 && is('PS');
        const reserved = entry.reserved[0];
        if (reserved !== undefined) pageFault(`bits ${bitsText(reserved)} of the guest entry are reserved, and set`);
        if (large && level.shift > HIGHEST_GUEST_PAGE) pageFault('PS is reserved in this level');
        if (!is('US')) pageFault('U/S is 0 in the guest entry, and the request is one of a user');
        if (access === 'write' && !is('RW')) pageFault('R/W is 0 in the guest entry');
        const frame = fieldOf(entry, 'Address');
        if (level.shift > 12 && !large) return { table: frame };
        const bytes = sizeOf(level);
        if (frame % bytes !== 0n)
          pageFault('address bits of the guest entry below its page size are reserved, and set');
        return { end: { address: frame | (address & (bytes - 1n)), bytes } };
      },
    });
  }

  /** Guest tables' root by PASID. @param glx levels but one @returns its guest-physical address; null where the table has no entry for it */
  gcr3(table: bigint, glx: number, pasid: number): bigint | null {
    const levels = GCR3.slice(GCR3.length - 1 - glx);
    if (BigInt(pasid) >> BigInt(9 * levels.length) !== 0n) return null;
    return descend<bigint>(this.reader, {
      ...{ levels, table, key: BigInt(pasid), of: `PASID 0x${pasid.toString(16)}` },
      visit: (entry, { shift }) => {
        if (fieldOf(entry, 'V') === 0n) pageFault('V is 0 in the GCR3 table');
        const reserved = entry.reserved[0];
        if (reserved !== undefined) pageFault(`bits ${bitsText(reserved)} of the GCR3 entry are reserved, and set`);
        const next = fieldOf(entry, 'CR3');
        return shift === 0 ? { end: next } : { table: next };
      },
    });
  }
}
