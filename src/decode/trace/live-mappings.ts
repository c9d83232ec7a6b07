/**
 * What is mapped. The events name no domain: where an address is mapped twice, the second mapping is put into another layer. Addresses that
 * are in two layers are two domains, or a mistake; {@link LiveMappings.unmap} tells which, as soon as the trace does.
 */
import { History } from './history.ts';
import type { Origin } from './interval-table.ts';
import { IntervalTable } from './interval-table.ts';

/** Layers: as many domains with the same addresses at once are told apart. */
export const LAYERS = 16;

/** Tag of a mapping: its task, and how it lies to the one that it met. */
export const SAME_RANGE = 1;
export const SAME_TARGET = 2;
export const TAG_BITS = 2;

/** What an unmap met. */
export type Met =
  /** All of it was mapped, or nothing of the trace, and all was unmapped. */
  | 'all'
  /** It was not mapped in the trace, at least not all: mapped before it began, or in another domain. */
  | 'unseen'
  /** Nothing was mapped, and the trace does not have it mapped. */
  | 'nothing'
  /** Nothing was mapped, and the trace has it mapped once. */
  | 'contradiction'
  /** Nothing was mapped, and the trace has it mapped, by the second of two maps: both were of one domain. */
  | 'twice';

export class LiveMappings {
  /** Domain that they are of; -1 where the events name none. */
  readonly domain: number;
  readonly layers: IntervalTable[] = [new IntervalTable()];
  readonly history = new History();
  /** Pages that are mapped, in all layers, and the most that ever were. */
  pages = 0;
  mostPages = 0;
  /** Maps of pages that were mapped. */
  met = 0;
  /** Maps that no layer had room for. */
  unlayered = 0;
  /** The mapping that the last unmap of nothing met. */
  readonly first: Origin = { time: 0, line: 0, target: 0, tag: 0, other: 0 };
  /** What is put into a layer: one object, so that no map makes one. */
  private readonly origin: Origin = { time: 0, line: 0, target: 0, tag: 0, other: 0 };

  constructor(domain = -1) {
    this.domain = domain;
  }

  /** Mappings in all layers. */
  get size(): number {
    return this.layers.reduce((sum, { size }) => sum + size, 0);
  }

  /** @param maker number of the task */
  map(start: number, end: number, target: number, time: number, line: number, maker: number): void {
    const { layers, origin } = this;
    origin.time = time;
    origin.line = line;
    origin.target = target;
    origin.other = 0;
    let how = 0;
    const [base] = layers;
    if (base.find(start, end)) {
      this.met++;
      const { found, foundEnd, foundStart } = base;
      origin.other = found.line;
      if (foundStart === start && foundEnd === end) how |= SAME_RANGE;
      if (found.target >= 0 && found.target - foundStart === target - start) how |= SAME_TARGET;
    }
    origin.tag = maker * (1 << TAG_BITS) + how;
    for (let i = 0; i < LAYERS; i++) {
      if (i === layers.length) layers.push(new IntervalTable());
      const layer = layers[i];
      if (i === 0 ? origin.other !== 0 : layer.find(start, end)) continue;
      layer.insert(start, end, origin);
      this.pages += end - start;
      if (this.pages > this.mostPages) this.mostPages = this.pages;
      return;
    }
    this.unlayered++;
  }

  /**
   * @param size pages that were asked for
   * @param unmapped pages that were unmapped, from the first on
   */
  unmap(start: number, size: number, unmapped: number, time: number, line: number, maker: number): Met {
    const { layers } = this;
    if (unmapped === 0) return this.unmapNothing(start, start + size);
    const end = start + unmapped;
    let best = -1;
    let most = 0;
    for (let i = 0; i < layers.length; i++) {
      const layer = layers[i];
      if (layer.find(start, end) && layer.foundStart === start && layer.foundEnd === end) {
        // What was mapped at once: nearly always.
        this.history.add(start, end, layer.foundTime, layer.foundLine, time, line, maker);
        layer.removeFound();
        this.pages -= unmapped;
        return 'all';
      }
      const covered = layer.covered(start, end);
      if (covered <= most) continue;
      best = i;
      most = covered;
      if (covered === unmapped) break;
    }
    if (best < 0) {
      this.history.add(start, end, -1, 0, time, line, maker);
      return 'unseen';
    }
    const layer = layers[best];
    for (let at = start; at < end && layer.find(at, end); at = layer.foundEnd) {
      const from = Math.max(start, layer.foundStart);
      const to = Math.min(end, layer.foundEnd);
      this.history.add(from, to, layer.foundTime, layer.foundLine, time, line, maker);
    }
    layer.remove(start, end);
    this.pages -= most;
    return most === unmapped ? 'all' : 'unseen';
  }

  /** Only the upper layers know of what was mapped while it was mapped: the first of the two went with an earlier unmap. */
  private unmapNothing(start: number, end: number): Met {
    const { layers } = this;
    for (let i = layers.length - 1; i >= 0; i--) {
      const layer = layers[i];
      if (!layer.find(start, end)) continue;
      Object.assign(this.first, layer.found);
      if (i === 0) return 'contradiction';
      this.pages -= layer.covered(start, end);
      layer.remove(start, end);
      return 'twice';
    }
    return 'nothing';
  }
}
