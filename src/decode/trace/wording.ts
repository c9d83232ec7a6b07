/** Numbers of a trace in words. */
import { DOMAIN_IDS, DOMAIN_KINDS } from './qemu-event.ts';

const PAGE = 4096n;
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Byte address of a page. */
export function addressOf(page: number, offset = 0): bigint {
  return BigInt(page) * PAGE + BigInt(offset);
}

export function hexPage(page: number): string {
  return `0x${addressOf(page).toString(16)}`;
}

/** `0x1000 to 0x2fff` */
export function rangeText(start: number, end: number): string {
  return `${hexPage(start)} to 0x${(addressOf(end) - 1n).toString(16)}`;
}

export function sizeText(pages: number): string {
  let value = pages * 4;
  let unit = 1;
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return `${value >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString('en') : Number(value.toFixed(1))} ${UNITS[unit]}`;
}

export function countText(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

/** As kernels print a time. */
export function timeText(seconds: number): string {
  return seconds.toFixed(6);
}

/** How long, to three digits: `6.18 ms`. */
export function spanText(seconds: number): string {
  const size = Math.abs(seconds);
  if (size >= 1) return `${Number(seconds.toPrecision(4))} s`;
  if (size >= 0.9995e-3) return `${Number((seconds * 1e3).toPrecision(3))} ms`;
  return `${Math.round(seconds * 1e6)} µs`;
}

/** `IOAS 0x2`: an id that events give a domain, hexadecimal as all that varies in a summary. */
export function domainText(domain: number): string {
  return `${DOMAIN_KINDS[Math.floor(domain / DOMAIN_IDS)] ?? 'domain'} 0x${(domain % DOMAIN_IDS).toString(16)}`;
}
