/** What a mistyped word was to be. */

/** Number of letters to add, drop, change or swap to make one word of another. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  let before = row;
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + change);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) next[j] = Math.min(next[j], before[j - 2] + 1);
    }
    before = row;
    row = next;
  }
  return row[b.length];
}

/** The names that a mistyped one is a part of, otherwise those most like it, best first, at most three; all of them if none is like it and they are few. */
export function nearest(name: string, names: readonly string[]): string[] {
  const lower = name.toLowerCase();
  const measured = names.map((known) => ({ known, far: distance(lower, known.toLowerCase()) }));
  const whole = measured.filter(({ known }) => known.toLowerCase().includes(lower));
  const alike = ({ known, far }: { known: string; far: number }) =>
    far <= Math.min(Math.max(2, known.length / 3), known.length - 1);
  const near = (whole.length > 0 ? whole : measured.filter(alike))
    .sort((a, b) => a.far - b.far)
    .map(({ known }) => known);
  if (near.length > 0) return near.slice(0, 3);
  return names.length <= 12 ? [...names] : [];
}
