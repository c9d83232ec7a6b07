/** The walk of VT-d through page tables (3.6 – 3.8), of one access, through dumps. Nothing is cached, and no flag is set. */
import { FAULT } from '../../iommu/vtd/faults.ts';
import { SM_FAULT } from '../../iommu/vtd/scalable-faults.ts';
import type { DecodedStructure } from '../structure.ts';
import { fieldOf } from '../structure.ts';
import { reasonCode } from '../vtd/reason.ts';
import type { Level } from './radix.ts';
import { descend, sizeOf } from './radix.ts';
import type { Reader } from './reader.ts';
import { Ended, fail } from './reader.ts';
import type { WalkAccess, WalkEnd } from './walk.ts';

const NAMES = ['pml5e', 'pml4e', 'pdpe', 'pde', 'pte'] as const;

/** Of 5 levels, top first; fewer are the last ones of them. */
function levelsNamed(stage: 'fs' | 'ss', prefix: string): readonly Level[] {
  return NAMES.map((name, i) => ({
    ...{ kind: `vtd.${stage}-${name}`, name: `${prefix}${name.toUpperCase()}` },
    ...{ shift: 12 + 9 * (NAMES.length - 1 - i), bits: 9, bytes: 8 },
  }));
}
const FIRST = levelsNamed('fs', 'FS-');
const SECOND = levelsNamed('ss', '');
/** The lowest three levels alone may have pages. */
const HIGHEST_PAGE = 30;

/** Where a walk of page tables begins. */
export interface VtdRoot {
  readonly stage: 'first' | 'second';
  readonly table: bigint;
  readonly levels: number;
  /** Second stage that a first one is nested in. */
  readonly nestedIn: VtdRoot | null;
  /** The table mode is scalable: other reasons are recorded. */
  readonly scalable: boolean;
  /** Of the first stage: the request is a supervisor's, and what R/W = 0 says counts for it too (WPE). */
  readonly supervisor: boolean;
  readonly wpe: boolean;
}

/** What reading the page of a second stage is for: the request's page, or the first stage's table (the first one of all is told apart). */
type Purpose = 'page' | 'table' | 'top';

export function must(condition: boolean, reason: number): void {
  if (!condition) fail(reasonCode(reason));
}

export class VtdWalk {
  private readonly reader: Reader;
  private readonly writes: boolean;

  constructor(reader: Reader, access: WalkAccess) {
    this.reader = reader;
    this.writes = access === 'write';
  }

  /** @throws Ended */
  pages(root: VtdRoot, address: bigint): WalkEnd {
    return root.stage === 'first' ? this.first(root, address) : this.second(root, address, 'page', 0);
  }

  /** 3.7. */
  private second({ levels, scalable, table }: VtdRoot, address: bigint, purpose: Purpose, depth: number): WalkEnd {
    must(address >> BigInt(12 + 9 * levels) === 0n, scalable ? SM_FAULT.beyondInputWidth : FAULT.beyondAddressWidth);
    let [read, write] = [true, true];
    return descend<WalkEnd>(this.reader, {
      ...{ levels: SECOND.slice(-levels), table, key: address, depth },
      visit: (entry, level) => {
        read &&= isSet(entry, 'R');
        write &&= isSet(entry, 'W');
        this.checkRights(scalable, purpose, read, write);
        const large = isSet(entry, 'PS');
        const frame = fieldOf(entry, 'ADDR');
        const leaf = level.shift === 12 || large;
        const size = sizeOf(level);
        const clean = entry.reserved.length === 0 && (!large || level.shift <= HIGHEST_PAGE);
        must(clean && (!leaf || frame % size === 0n), scalable ? SM_FAULT.secondReserved : FAULT.pagingReserved);
        if (!leaf) return { table: frame };
        const page = frame | (address & (size - 1n));
        if (purpose === 'page') must(!isInterrupt(page), scalable ? SM_FAULT.interruptRange : FAULT.interruptRange);
        return { end: { kind: 'page', address: page, bytes: Number(size) } };
      },
    });
  }

  /** @param read ANDed over the levels, as `write` is */
  private checkRights(scalable: boolean, purpose: Purpose, read: boolean, write: boolean): void {
    if (scalable) must(read || write, SM_FAULT.secondNotPresent);
    if (purpose !== 'page') must(read, purpose === 'top' ? SM_FAULT.firstTopRead : SM_FAULT.firstRead);
    else if (this.writes) must(write, scalable ? SM_FAULT.write : FAULT.write);
    else must(read, scalable ? SM_FAULT.read : FAULT.read);
  }

  /** 3.6, 3.8. */
  private first({ levels, nestedIn, supervisor, table, wpe }: VtdRoot, address: bigint): WalkEnd {
    must(isCanonical(address, BigInt(12 + 9 * levels)), SM_FAULT.notCanonical);
    return descend<WalkEnd>(this.reader, {
      ...{ levels: FIRST.slice(-levels), table, key: address },
      place: (at, i) => this.through(nestedIn, at, i === 0 ? 'top' : 'table'),
      visit: (entry, level) => {
        must(isSet(entry, 'P'), SM_FAULT.firstNotPresent);
        must(supervisor || isSet(entry, 'US'), SM_FAULT.privilege);
        must(!this.writes || isSet(entry, 'RW') || (supervisor && !wpe), SM_FAULT.write);
        const large = level.shift > 12 && isSet(entry, 'PS');
        const size = sizeOf(level);
        const frame = fieldOf(entry, 'ADDR');
        // Bit 12 of a large page is PAT.
        const low = large ? frame & (size - 1n) & ~0x1000n : 0n;
        const clean = entry.reserved.length === 0 && (!large || level.shift <= HIGHEST_PAGE);
        must(clean && low === 0n, SM_FAULT.firstReserved);
        if (nestedIn !== null) must(frame >> BigInt(12 + 9 * nestedIn.levels) === 0n, SM_FAULT.firstBeyondWidth);
        if (level.shift > 12 && !large) return { table: frame };
        const page = (frame & ~(size - 1n)) | (address & (size - 1n));
        if (nestedIn === null) must(!isInterrupt(page), SM_FAULT.interruptRange);
        return { end: { kind: 'page', address: this.through(nestedIn, page, 'page'), bytes: Number(size) } };
      },
    });
  }

  /** An address that a first stage gives: physical, or translated by the second stage that it is nested in. */
  private through(nestedIn: VtdRoot | null, address: bigint, purpose: Purpose): bigint {
    if (nestedIn === null) return address;
    const end = this.second(nestedIn, address, purpose, 1);
    if (end.kind !== 'page') throw new Ended(end);
    return end.address;
  }
}

function isSet(structure: DecodedStructure, name: string): boolean {
  return fieldOf(structure, name) === 1n;
}

/** The bits from the width's highest on are all alike. */
function isCanonical(address: bigint, width: bigint): boolean {
  const top = address >> (width - 1n);
  return top === 0n || top === (1n << (65n - width)) - 1n;
}

/** 3.15. */
function isInterrupt(address: bigint): boolean {
  return address >> 20n === 0xfeen;
}
