/** What is wrong with a map or an unmap, as findings. What varies in a summary is hexadecimal: so repeated ones are one group. */
import { suspects } from '../causes.ts';
import type { Detail, Finding } from '../finding.ts';
import { NOTHING } from '../finding.ts';
import type { Origin } from './interval-table.ts';
import type { Met } from './live-mappings.ts';
import { addressOf, domainText, hexPage, rangeText, sizeText, spanText } from './wording.ts';

/** Of an issue with the pages from `start` on. */
function issue(
  kind: string,
  severity: Finding['severity'],
  summary: string,
  start: number,
  details: readonly Detail[],
  causes: Finding['causes'],
): Finding {
  const address = { value: addressOf(start), space: 'IOVA' } as const;
  return { ...NOTHING, kind: `trace.${kind}`, model: 'linux', severity, summary, address, details, causes };
}

/** @param before line of the last unmap of it; 0 for none */
export function unmapsNothing(
  maker: string,
  start: number,
  end: number,
  met: Met,
  mapLine: number,
  before: number,
): Finding {
  const details: Detail[] = [['range', rangeText(start, end)]];
  if (met === 'contradiction')
    details.push(['but', `line ${mapLine} mapped it: in another domain, or it went with an unmap that was not traced`]);
  if (before > 0) details.push(['before', `it was unmapped on line ${before}`]);
  const summary = `${maker}: unmap of ${hexPage(start)}, and nothing was mapped there`;
  return issue('unmap-nothing', 'error', summary, start, details, suspects({ likely: ['unmap-mismatch'] }));
}

export function unmapsPart(maker: string, start: number, size: number, unmapped: number): Finding {
  const details: Detail[] = [
    ['asked', `${rangeText(start, start + size)}, ${sizeText(size)}`],
    ['unmapped', `${sizeText(unmapped)}: the page at ${hexPage(start + unmapped)} was not mapped`],
  ];
  const summary = `${maker}: unmap of ${hexPage(start)} was possible only in part`;
  return issue('unmap-partial', 'error', summary, start, details, suspects({ likely: ['unmap-mismatch'] }));
}

export function unmapsMore(maker: string, start: number, size: number, unmapped: number): Finding {
  const details: Detail[] = [
    ['asked', `${rangeText(start, start + size)}, ${sizeText(size)}`],
    ['unmapped', `${sizeText(unmapped)}: a large page that is not split`],
  ];
  const summary = `${maker}: unmap of ${hexPage(start)} took more away than was asked for`;
  return issue('unmap-more', 'warning', summary, start, details, suspects({ certain: ['superpage-unmapped'] }));
}

/** @param unmap of the range that waits for its flush */
export function reused(
  maker: string,
  start: number,
  end: number,
  time: number,
  unmap: Origin,
  oneDomain: boolean,
): Finding {
  const details: Detail[] = [
    ['range', rangeText(start, end)],
    ['unmapped', `on line ${unmap.line}, ${spanText(time - unmap.time)} before, and not invalidated since`],
    [
      'but',
      oneDomain
        ? 'all invalidations of the trace are of one domain id'
        : 'the trace has several domains: harmless if the new mapping is of another than the old',
    ],
  ];
  const summary = `${maker}: ${hexPage(start)} is mapped again before the flush`;
  const causes = suspects(oneDomain ? { likely: ['reused-before-flush'] } : { possible: ['reused-before-flush'] });
  return issue('reuse', oneDomain ? 'error' : 'info', summary, start, details, causes);
}

export interface TwiceMapped {
  readonly maker: string;
  readonly start: number;
  readonly end: number;
  readonly of: Readonly<Origin>;
  readonly sameRange: boolean;
  readonly sameTarget: boolean;
  /** An unmap showed that both were of one domain. */
  readonly proved: boolean;
  /** The domain that the events name for both; -1 for none. */
  readonly domain: number;
  /** There are other signs of several domains. */
  readonly severalDomains: boolean;
  /** Events were lost since the first map. */
  readonly afterLoss: boolean;
}

export function mappedTwice(twice: TwiceMapped): Finding {
  const { afterLoss, domain, end, maker, of, proved, sameRange, sameTarget, severalDomains, start } = twice;
  const details: Detail[] = [
    ['range', `${rangeText(start, end)}, mapped on line ${of.other} and again on line ${of.line}`],
  ];
  if (of.target >= 0) details.push(['memory', sameTarget ? 'the same pages both times' : 'not the same pages']);
  if (domain >= 0)
    details.push([
      'domain',
      `both maps are of ${domainText(domain)}: a mistake, unless it was freed between and that was not traced`,
    ]);
  else if (proved) details.push(['proof', 'the first unmap took both away: they were of one domain']);
  else if (severalDomains)
    details.push(['but', 'the trace has several domains: harmless if the two are of different ones']);
  else details.push(['but', 'the events name no domain: harmless if the two are of different ones']);
  if (afterLoss) details.push(['and', 'events were lost: the unmap between may be among them']);
  const sure = proved ? 'certain' : severalDomains || afterLoss ? 'possible' : 'likely';
  const severity = proved ? 'error' : severalDomains || afterLoss ? 'info' : 'warning';
  const summary = sameRange
    ? `${maker}: ${hexPage(start)} is mapped twice`
    : `${maker}: the mapping at ${hexPage(start)} overlaps one that is live`;
  return issue(
    sameRange ? 'mapped-twice' : 'overlap',
    severity,
    summary,
    start,
    details,
    suspects({ [sure]: ['mapped-twice'] }),
  );
}
