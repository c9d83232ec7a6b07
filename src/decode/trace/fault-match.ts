/** Which map or unmap explains a fault. */
import type { IntervalTable } from './interval-table.ts';
import type { LiveMappings } from './live-mappings.ts';
import { TAG_BITS } from './live-mappings.ts';

export type FaultCause =
  /** It was unmapped before the fault. */
  | 'unmapped'
  /** It was mapped at the time. */
  | 'mapped'
  /** It was mapped after the fault. */
  | 'mapped-later'
  /** The page is not mapped; pages just before it are, or were. */
  | 'behind'
  /** Nothing of the trace has to do with it. */
  | 'none';

/** Times in seconds. */
export interface FaultMatch {
  readonly cause: FaultCause;
  /** Pages of the mapping. */
  readonly start: number;
  readonly end: number;
  /** When it was mapped, and on which line; 0 and null if before the trace began. */
  readonly mapTime: number | null;
  readonly mapLine: number;
  /** When it was unmapped; null if it was not. */
  readonly unmapTime: number | null;
  readonly unmapLine: number;
  /** Number of the task that unmapped it, or mapped it if nobody did. */
  readonly maker: number;
}

/** Pages behind a mapping at which a device that ran over its end is looked for. */
const BEHIND = 16;

const NO_MATCH: FaultMatch = {
  ...{ cause: 'none', start: 0, end: 0, mapTime: null, mapLine: 0, unmapTime: null, unmapLine: 0, maker: 0 },
};

/**
 * Most telling first: a mapping that was there; the unmap before it; one that came too late; one that ends just before.
 * @param start,end pages that may be meant, and in which the mapping lies at least in part; or bytes, as the mappings are
 * @param time of the fault, in seconds
 * @param reach how far behind a mapping it is looked for
 */
export function matchFault(
  mappings: LiveMappings,
  start: number,
  end: number,
  time: number,
  reach = BEHIND,
): FaultMatch {
  const later: FaultMatch[] = [];
  for (const layer of mappings.layers) {
    if (!layer.find(start, end)) continue;
    const match = ofLive(layer, layer.found.time <= time ? 'mapped' : 'mapped-later');
    if (match.cause === 'mapped') return match;
    later.push(match);
  }
  const { history } = mappings;
  let unmapped: FaultMatch | null = null;
  for (let i = history.find(start, end); i >= 0; i = history.find(start, end, i)) {
    if (history.time > time) {
      if (history.mapTime >= 0 && history.mapTime <= time) return ofHistory(mappings, 'mapped');
      if (history.mapTime > time) later.push(ofHistory(mappings, 'mapped-later'));
      continue;
    }
    unmapped = ofHistory(mappings, 'unmapped');
    break;
  }
  return unmapped ?? later.at(-1) ?? behind(mappings, start, time, reach) ?? NO_MATCH;
}

function behind(mappings: LiveMappings, page: number, time: number, reach: number): FaultMatch | null {
  let best: FaultMatch | null = null;
  for (const layer of mappings.layers) {
    if (!layer.findBefore(page) || layer.foundEnd > page || page - layer.foundEnd >= reach || layer.found.time > time)
      continue;
    if (best === null || layer.foundEnd > best.end) best = ofLive(layer, 'behind');
  }
  if (best !== null) return best;
  const { history } = mappings;
  for (let i = history.find(page - reach, page); i >= 0; i = history.find(page - reach, page, i)) {
    if (history.mapTime <= time) return ofHistory(mappings, 'behind');
  }
  return null;
}

function ofLive({ found, foundEnd, foundStart }: IntervalTable, cause: FaultCause): FaultMatch {
  return {
    ...{
      cause,
      start: foundStart,
      end: foundEnd,
      mapTime: found.time,
      mapLine: found.line,
      unmapTime: null,
      unmapLine: 0,
    },
    maker: Math.floor(found.tag / (1 << TAG_BITS)),
  };
}

function ofHistory({ history }: LiveMappings, cause: FaultCause): FaultMatch {
  const { end, line, maker, mapLine, mapTime, start, time } = history;
  return { cause, start, end, mapTime: mapTime < 0 ? null : mapTime, mapLine, unmapTime: time, unmapLine: line, maker };
}
