/** Ranges of addresses, both ends of which belong to them: what is taken, and what is free between. */

export interface Range {
  readonly start: bigint;
  readonly last: bigint;
}

export const overlaps = (a: Range, b: Range): boolean => a.start <= b.last && b.start <= a.last;

/** The parts of `within` that some of the ranges have, lowest first; ranges that touch are one. */
export function used(ranges: readonly Range[], within: Range): Range[] {
  const out: { start: bigint; last: bigint }[] = [];
  const inside = ranges.filter((range) => overlaps(range, within)).sort((a, b) => (a.start < b.start ? -1 : 1));
  for (const { start, last } of inside) {
    const from = start < within.start ? within.start : start;
    const to = last > within.last ? within.last : last;
    const before = out.at(-1);
    if (before === undefined || from > before.last + 1n) out.push({ start: from, last: to });
    else if (to > before.last) before.last = to;
  }
  return out;
}

/** The parts of `within` that none of the ranges has, lowest first. */
export function holes(ranges: readonly Range[], within: Range): Range[] {
  const out: Range[] = [];
  let from = within.start;
  for (const { start, last } of used(ranges, within)) {
    if (start > from) out.push({ start: from, last: start - 1n });
    from = last + 1n;
  }
  if (from <= within.last) out.push({ start: from, last: within.last });
  return out;
}
