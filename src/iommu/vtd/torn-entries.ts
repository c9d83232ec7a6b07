/**
 * Entries that hardware reads in parts, as it may where they are larger than 128 bits (VT-d chapter 9), while software changes them: whether what a
 * walk acts on was never in memory together. Between the first part and the others a transaction keeps that part as it was read.
 */
import type { Dma } from '../../machine/index.ts';
import { bdf, FACT, SLOT } from '../../machine/index.ts';
import type { VtdCore } from './core.ts';
import type { Scalable } from './scalable.ts';
import { FIRST_PART, SCALABLE_STEP, TORN, tableOf, tagsOf, tornFlags } from './scalable-slot.ts';
import { CONTEXT_WORDS, ENTRY_WORDS } from './scalable-tables.ts';
import type { ScalableWalk } from './scalable-walk.ts';
import { STAGE } from './scalable-walk.ts';

/** 64-bit words of the first part. */
const PART = 2;

export class TornEntries {
  private readonly core: VtdCore;
  private readonly dma: Dma;
  private readonly halves = new Int32Array(2 * ENTRY_WORDS);

  constructor(core: VtdCore, dma: Dma) {
    this.core = core;
    this.dma = dma;
    core.tables.watch?.((at) => this.changed(at));
  }

  /** The first part of an entry was read, and the others are next. */
  keep({ tables, walk }: Scalable): void {
    [walk.leafLo, walk.leafHi, walk.leafTableHi, walk.leafTableLo] = tables.halves;
  }

  /** All parts were read, whatever they say; the first is forgotten. */
  acted(slot: number, { tables, walk }: Scalable, stage: number, pfn: number): void {
    const { core, dma, halves } = this;
    const isContext = stage === STAGE.contextHigh;
    halves.set(tables.halves);
    halves.set([walk.leafLo, walk.leafHi, walk.leafTableHi, walk.leafTableLo]);
    walk.leafLo = 0;
    walk.leafHi = 0;
    walk.leafTableHi = 0;
    walk.leafTableLo = 0;
    const word = isContext ? contextWord(walk.sid) : entryWord(walk.tablePasid);
    const mixed = dma.versions.used(pfn, word, halves);
    const torn = tornFlags(dma, slot) === TORN.torn;
    if (torn) dma.facts.bits |= FACT.tornEntry;
    if (!core.telling || (mixed === null && !torn)) return;
    const of = whose(walk, isContext);
    if (torn) core.say(`its parts were never in memory together: ${of} has changed between them`);
    else core.say(`${of} is a mix of what it was and what it is to be`);
  }

  /**
   * A word of memory has changed, as walks see it. What a walk has of the first part and what it will read of the others were together while
   * neither had changed, or until the first part did.
   */
  private changed(at: number): void {
    const { dma } = this;
    for (let i = 0; i < dma.slots; i++) {
      const slot = dma.at(i);
      const stage = dma.get(slot, SLOT.step) - SCALABLE_STEP;
      if (stage !== STAGE.contextHigh && stage !== STAGE.entryHigh) continue;
      const isContext = stage === STAGE.contextHigh;
      const { sid } = dma.requesters[dma.get(slot, SLOT.device)];
      const first = isContext ? contextWord(sid) : entryWord(tagsOf(dma, slot).pasid);
      const place = this.placeOf(at, tableOf(dma, slot), first, isContext ? CONTEXT_WORDS : ENTRY_WORDS);
      if (place < 0) continue;
      const flags = tornFlags(dma, slot);
      if (place >= PART) {
        if (flags === TORN.firstGone) tornFlags(dma, slot, TORN.torn);
      } else if (flags !== TORN.torn) tornFlags(dma, slot, this.isFirstPart(slot, first) ? TORN.whole : TORN.firstGone);
    }
  }

  /** Which word of the entry has the handle; −1 for none. */
  private placeOf(at: number, pfn: number, first: number, words: number): number {
    for (let i = 0; i < words; i++) if (this.core.tables.locate(pfn, first + i) === at) return i;
    return -1;
  }

  /** Whether memory has the first part as it was read. */
  private isFirstPart(slot: number, first: number): boolean {
    const { tables } = this.core;
    for (let i = 0; i < PART; i++) {
      const at = tables.locate(tableOf(this.dma, slot), first + i);
      const [lo, hi] = [this.dma.get(slot, FIRST_PART[2 * i]), this.dma.get(slot, FIRST_PART[2 * i + 1])];
      if (tables.lo(at) !== lo || tables.hi(at) !== hi) return false;
    }
    return true;
  }
}

function contextWord(sid: number): number {
  return (sid & 0x7f) * CONTEXT_WORDS;
}

function entryWord(pasid: number): number {
  return (pasid & 63) * ENTRY_WORDS;
}

function whose({ sid, tablePasid }: ScalableWalk, isContext: boolean): string {
  return isContext
    ? `the context entry of ${bdf(sid)}`
    : `the PASID-table entry of ${bdf(sid)}, PASID 0x${tablePasid.toString(16)}`;
}
