/** The walk of VT-d through page tables (3.6 – 3.8), of one access, through dumps. Nothing is cached, and no flag is set. */
import { FAULT } from '../../iommu/vtd/faults.ts';
import { SM_FAULT } from '../../iommu/vtd/scalable-faults.ts';
import type { DecodedStructure } from '../structure.ts';
import { decodeNamed, fieldOf } from '../structure.ts';
import { reasonCode } from '../vtd/reason.ts';
import type { Tables } from './tables.ts';
import type { WalkAccess, WalkEnd, WalkStep } from './walk.ts';

const NAMES = ['', 'pte', 'pde', 'pdpe', 'pml4e', 'pml5e'] as const;

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

/** A walk within a walk has ended it. */
export class Ended {
  readonly end: WalkEnd;

  constructor(end: WalkEnd) {
    this.end = end;
  }
}

/** Does what `run` does, up to what ends it. */
export function untilEnded(run: () => WalkEnd): WalkEnd {
  try {
    return run();
  } catch (error) {
    if (error instanceof Ended) return error.end;
    throw error;
  }
}

export function must(condition: boolean, reason: number): void {
  if (!condition) throw new Ended({ kind: 'fault', code: reasonCode(reason) });
}

export class VtdWalk {
  private readonly tables: Tables;
  private readonly steps: WalkStep[];
  private readonly writes: boolean;

  /** @param steps what is read is added to them */
  constructor(tables: Tables, access: WalkAccess, steps: WalkStep[]) {
    this.tables = tables;
    this.steps = steps;
    this.writes = access === 'write';
  }

  /** @throws Ended */
  pages(root: VtdRoot, address: bigint): WalkEnd {
    return root.stage === 'first' ? this.first(root, address) : this.second(root, address, 'page', 0);
  }

  /** 3.7. */
  private second({ levels, scalable, table: top }: VtdRoot, address: bigint, purpose: Purpose, depth: number): WalkEnd {
    must(address >> BigInt(12 + 9 * levels) === 0n, scalable ? SM_FAULT.beyondInputWidth : FAULT.beyondAddressWidth);
    let table = top;
    let [read, write] = [true, true];
    for (let level = levels; ; level--) {
      const shift = BigInt(12 + 9 * (level - 1));
      const entry = this.entry(
        'ss',
        level,
        table + 8n * ((address >> shift) & 511n),
        (address >> shift) << shift,
        depth,
      );
      read &&= isSet(entry, 'R');
      write &&= isSet(entry, 'W');
      this.checkRights(scalable, purpose, read, write);
      const large = isSet(entry, 'PS');
      const frame = fieldOf(entry, 'ADDR');
      const leaf = level === 1 || large;
      const size = 1n << shift;
      const fits = entry.reserved.length === 0 && (!large || level <= 3) && (!leaf || frame % size === 0n);
      must(fits, scalable ? SM_FAULT.secondReserved : FAULT.pagingReserved);
      table = frame;
      if (!leaf) continue;
      const page = frame | (address & (size - 1n));
      if (purpose === 'page') must(!isInterrupt(page), scalable ? SM_FAULT.interruptRange : FAULT.interruptRange);
      return { kind: 'page', address: page, bytes: Number(size) };
    }
  }

  /** @param read ANDed over the levels, as `write` is */
  private checkRights(scalable: boolean, purpose: Purpose, read: boolean, write: boolean): void {
    if (scalable) must(read || write, SM_FAULT.secondNotPresent);
    if (purpose !== 'page') must(read, purpose === 'top' ? SM_FAULT.firstTopRead : SM_FAULT.firstRead);
    else if (this.writes) must(write, scalable ? SM_FAULT.write : FAULT.write);
    else must(read, scalable ? SM_FAULT.read : FAULT.read);
  }

  /** 3.6, 3.8. */
  private first({ levels, nestedIn, supervisor, table: top, wpe }: VtdRoot, address: bigint): WalkEnd {
    const width = BigInt(12 + 9 * levels);
    must(isCanonical(address, width), SM_FAULT.notCanonical);
    let table = top;
    for (let level = levels; ; level--) {
      const shift = BigInt(12 + 9 * (level - 1));
      const at = this.through(nestedIn, table, level === levels ? 'top' : 'table') + 8n * ((address >> shift) & 511n);
      const entry = this.entry('fs', level, at, (address >> shift) << shift, 0);
      must(isSet(entry, 'P'), SM_FAULT.firstNotPresent);
      must(supervisor || isSet(entry, 'US'), SM_FAULT.privilege);
      must(!this.writes || isSet(entry, 'RW') || (supervisor && !wpe), SM_FAULT.write);
      const large = level > 1 && isSet(entry, 'PS');
      const leaf = level === 1 || large;
      const size = 1n << shift;
      const frame = fieldOf(entry, 'ADDR');
      // Bit 12 of a large page is PAT.
      const low = large ? frame & (size - 1n) & ~0x1000n : 0n;
      must(entry.reserved.length === 0 && (!large || level <= 3) && low === 0n, SM_FAULT.firstReserved);
      if (nestedIn !== null) must(frame >> BigInt(12 + 9 * nestedIn.levels) === 0n, SM_FAULT.firstBeyondWidth);
      table = frame;
      if (!leaf) continue;
      const page = (frame & ~(size - 1n)) | (address & (size - 1n));
      if (nestedIn === null) must(!isInterrupt(page), SM_FAULT.interruptRange);
      return { kind: 'page', address: this.through(nestedIn, page, 'page'), bytes: Number(size) };
    }
  }

  /** An address that a first stage gives: physical, or translated by the second stage that it is nested in. */
  private through(nestedIn: VtdRoot | null, address: bigint, purpose: Purpose): bigint {
    if (nestedIn === null) return address;
    const end = this.second(nestedIn, address, purpose, 1);
    if (end.kind !== 'page') throw new Ended(end);
    return end.address;
  }

  private entry(stage: 'fs' | 'ss', level: number, at: bigint, low: bigint, depth: number): DecodedStructure {
    const name = NAMES[level] as string;
    const what = `${stage === 'fs' ? 'FS-' : ''}${name.toUpperCase()} of 0x${low.toString(16)}`;
    const structure = readStructure(this.tables, `vtd.${stage}-${name}`, what, at, 1);
    this.steps.push({ what, address: at, structure, depth });
    return structure;
  }
}

/** @param zeros words at the end that dumps may leave out @throws Ended where a word is missing */
export function readStructure(
  tables: Tables,
  kind: string,
  what: string,
  at: bigint,
  count: number,
  zeros = 0,
): DecodedStructure {
  const words = Array.from({ length: count + zeros }, (_, i) => {
    const address = at + 8n * BigInt(i);
    const word = tables.words.get(address) ?? (i < count ? undefined : 0n);
    if (word === undefined) throw new Ended({ kind: 'missing', address, what });
    return word;
  });
  return decodeNamed(kind, words);
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
