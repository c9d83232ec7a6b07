/** What is still mapped when a trace ends, by who mapped it and how much at once. */
import { suspects } from '../causes.ts';
import type { Detail, Finding } from '../finding.ts';
import { NOTHING } from '../finding.ts';
import type { LiveMappings } from './live-mappings.ts';
import { TAG_BITS } from './live-mappings.ts';
import { countText, hexPage, sizeText, timeText } from './wording.ts';

/** Groups that are told one by one: the largest. */
const SHOWN = 20;
/** Groups that are told apart. */
const MAX_GROUPS = 65_536;

/** Mappings of one task and one size. */
export interface LeftOver {
  readonly maker: number;
  /** Pages of each. */
  readonly size: number;
  count: number;
  readonly firstPage: number;
  firstTime: number;
  firstLine: number;
  lastTime: number;
}

/** @returns the largest first, and mappings of groups beyond those that are told apart */
export function leftOvers({ layers }: LiveMappings): { groups: LeftOver[]; others: number } {
  const byKey = new Map<number, LeftOver>();
  let others = 0;
  const [base] = layers;
  base.each(() => {
    const { found, foundEnd, foundStart } = base;
    const maker = Math.floor(found.tag / (1 << TAG_BITS));
    const size = foundEnd - foundStart;
    const key = size * 4096 + maker;
    const group = byKey.get(key);
    if (group !== undefined) {
      group.count++;
      group.firstTime = Math.min(group.firstTime, found.time);
      group.lastTime = Math.max(group.lastTime, found.time);
      group.firstLine = Math.min(group.firstLine, found.line);
    } else if (byKey.size >= MAX_GROUPS) others++;
    else {
      const { line, time } = found;
      byKey.set(key, {
        maker,
        size,
        count: 1,
        firstPage: foundStart,
        firstTime: time,
        firstLine: line,
        lastTime: time,
      });
    }
  });
  return { groups: [...byKey.values()].sort((a, b) => b.count * b.size - a.count * a.size), others };
}

export interface LeftOverFinding {
  readonly finding: Finding;
  readonly line: number;
}

/** @param made maps of a task, by its number; @param end time of the last event */
export function leftOverFindings(
  mappings: LiveMappings,
  name: (maker: number) => string,
  made: (maker: number) => number,
  end: number,
): LeftOverFinding[] {
  const { groups, others } = leftOvers(mappings);
  const rest = groups.slice(SHOWN);
  return groups.slice(0, SHOWN).map((group, i) => {
    const { count, firstLine, firstPage, firstTime, lastTime, maker, size } = group;
    const all = made(maker);
    const details: Detail[] = [
      [
        'mappings',
        `${countText(count, 'mapping')} of ${sizeText(size)}, ${sizeText(count * size)} in all; one is ${hexPage(firstPage)}`,
      ],
      ['of', `${countText(all, 'map')} that the task made in the trace`],
      [
        'mapped',
        `the first on line ${firstLine}; at ${timeText(firstTime)} to ${timeText(lastTime)}, the trace ends at ${timeText(end)}`,
      ],
      ['but', 'a leak only if their driver has ended, or if they grow in number: rings and pools stay mapped'],
    ];
    if (i === SHOWN - 1 && rest.length + others > 0)
      details.push([
        'and',
        `${countText(rest.reduce((sum, { count: n }) => sum + n, 0) + others, 'mapping')} of smaller groups`,
      ]);
    const finding: Finding = {
      ...NOTHING,
      kind: 'trace.left',
      model: 'linux',
      severity: 'info',
      summary: `${name(maker)}: ${countText(count, 'mapping')} of ${sizeText(size)} ${count === 1 ? 'is' : 'are'} left when the trace ends`,
      details,
      causes: suspects({ possible: ['mapping-leak'] }),
    };
    return { finding, line: firstLine };
  });
}
