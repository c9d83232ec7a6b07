/** Sizes of memory, in the largest unit of which they are a whole number. */
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/** @param size in bytes */
export function sizeText(size: bigint): string {
  let [value, unit] = [size, 0];
  while (value >= 1024n && value % 1024n === 0n && unit < UNITS.length - 1) [value, unit] = [value / 1024n, unit + 1];
  return `${value} ${UNITS[unit]}`;
}
