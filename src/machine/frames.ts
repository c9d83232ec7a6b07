import type { Arena, Region } from './arena.ts';

/** Who may own a page frame. */
export interface Owner {
  readonly name: string;
  /** `table`: page tables of domain `did`; `buffer`: granted to DMA of domain `did`; `other`: anybody else. */
  readonly kind: 'free' | 'table' | 'buffer' | 'other';
  /** Domain, −1 for none. */
  readonly did: number;
}

export interface Frame {
  readonly name: string;
  readonly pfn: number;
  readonly index: number;
}

/** Most page frames that a case has; a case with more is not a small one. */
const MAX_FRAMES = 64;

/**
 * The page frames of a case and who owns each now. Ownership is state, so "DMA landed in a page that now belongs to
 * somebody else" and "a walk read a page that is no longer a table" are facts, not opinions.
 */
export class Frames {
  readonly list: Frame[] = [];
  readonly owners: Owner[] = [{ name: 'free', kind: 'free', did: -1 }];
  private readonly arena: Arena;
  private readonly region: Region;
  private readonly byPfn = new Map<number, number>();

  constructor(arena: Arena) {
    this.arena = arena;
    this.region = arena.region('frames', ['owner'], MAX_FRAMES);
  }

  /** Index of the owner with this name, declared on first use. */
  owner(name: string, kind: Owner['kind'], did = -1): number {
    const known = this.owners.findIndex((o) => o.name === name && o.kind === kind && o.did === did);
    if (known >= 0) return known;
    return this.owners.push({ name, kind, did }) - 1;
  }

  /** Declares a frame. @param owner index from {@link owner}; 0 is free */
  add(name: string, pfn: number, owner: number): Frame {
    if (this.byPfn.has(pfn)) throw new RangeError(`frame 0x${pfn.toString(16)} is declared twice (${name})`);
    if (this.list.length === MAX_FRAMES) throw new RangeError(`a case has at most ${MAX_FRAMES} page frames`);
    const frame = { name, pfn, index: this.list.length };
    this.list.push(frame);
    this.byPfn.set(pfn, frame.index);
    this.arena.set(this.region.base + frame.index, owner);
    return frame;
  }

  /** Index of the frame at `pfn`, −1 where there is no memory. */
  find(pfn: number): number {
    return this.byPfn.get(pfn) ?? -1;
  }

  ownerOf(frame: number): number {
    return this.arena.words[this.region.base + frame];
  }

  setOwner(frame: number, owner: number): void {
    this.arena.set(this.region.base + frame, owner);
  }
}
