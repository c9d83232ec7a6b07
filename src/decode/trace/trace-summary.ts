/** What a trace had, what could be checked in it, and what could not. */
import type { Detail } from '../finding.ts';
import { descriptorOf } from '../vtd/kinds.ts';
import type { DmaBuffers } from './dma-buffers.ts';
import type { LiveMappings } from './live-mappings.ts';
import type { TraceAnalysis } from './trace-analysis.ts';
import { ATTACH, DAMAGED, DETACH, FAULT, MAP, QI_SUBMIT, UNMAP } from './trace-event.ts';
import { countText, sizeText, spanText, timeText } from './wording.ts';

export function summaryDetails(analysis: TraceAnalysis): Detail[] {
  const { buffers, counts, firstTime, flushes, lastTime, lost, resolved, spaces, unseen } = analysis;
  const sum = (of: (space: LiveMappings) => number) => spaces.reduce((total, space) => total + of(space), 0);
  const kinds = [
    ...[
      [MAP, 'map'] as const,
      [UNMAP, 'unmap'] as const,
      [FAULT, 'fault'] as const,
      [QI_SUBMIT, 'descriptor'] as const,
    ],
    ...[[ATTACH, 'attach'] as const, [DETACH, 'detach'] as const],
  ];
  const events = kinds.filter(([kind]) => counts[kind] > 0).map(([kind, noun]) => countOf(counts[kind], noun));
  const details: Detail[] = [
    ...(events.length > 0 ? [['events', events.join(', ')] as const] : []),
    ['time', `${timeText(firstTime)} to ${timeText(lastTime)}: ${spanText(lastTime - firstTime)}`],
  ];
  const hasPages = counts[MAP] + counts[UNMAP] > 0;
  if (hasPages)
    details.push([
      'mapped',
      `${sizeText(sum(({ pages }) => pages))} at the end in ${countText(
        sum(({ size }) => size),
        'mapping',
      )}, ${sizeText(sum(({ mostPages }) => mostPages))} at most`,
    ]);
  if (buffers.maps + buffers.unmaps + buffers.failed > 0) details.push(['buffers', bufferText(buffers)]);
  if (flushes.submitted > 0) details.push(['queue', descriptors(flushes.counts)]);
  if (flushes.domains.length > 0)
    details.push(['ids', `invalidations name ${flushes.domains.map((id) => `DID ${id}`).join(', ')}`]);
  if (hasPages) details.push(['reuse', reuseText(analysis)]);
  if (unseen > 0)
    details.push([
      'not seen',
      `${countText(unseen, 'unmap')} of what the trace had not mapped, or not all: mapped before it began`,
    ]);
  if (resolved > 0)
    details.push([
      'domains',
      `${countText(resolved, 'address')}${resolved === 1 ? ' was' : ' were'} mapped twice and unmapped twice: there are several domains`,
    ]);
  if (lost > 0)
    details.push(['lost', `${countText(lost, 'event')}: what is said to be mapped twice, or left, is only possible`]);
  if (counts[DAMAGED] > 0)
    details.push(['damaged', `${countText(counts[DAMAGED], 'event')} could not be read, or have pages below 4 KiB`]);
  if (spaces.length > 1)
    details.push([
      'named',
      `${countText(spaces.length - 1, 'domain')}, by the events themselves: addresses of each are checked apart`,
    ]);
  else if (hasPages)
    details.push([
      'limit',
      'map and unmap name no domain and no device: addresses of several domains are told apart only by how they are unmapped',
    ]);
  return details;
}

function bufferText({ count, failed, maps, unmaps, unseen }: DmaBuffers): string {
  const parts = [
    `${countText(maps, 'map')} and ${countText(unmaps, 'unmap')} of the DMA API, of ${countText(count, 'device')}`,
    ...(failed > 0 ? [`${countText(failed, 'map')} refused`] : []),
    ...(unseen > 0 ? [`${countText(unseen, 'list')} unmapped that the trace had not mapped`] : []),
  ];
  return parts.join('; ');
}

function countOf(count: number, noun: string): string {
  const plural = noun.endsWith('ch') ? `${noun}es` : `${noun}s`;
  return `${count.toLocaleString('en')} ${count === 1 ? noun : plural}`;
}

function descriptors(counts: Float64Array): string {
  return Array.from(counts)
    .flatMap((count, type) => (count === 0 ? [] : [`${count.toLocaleString('en')} ${nameOf(type)}`]))
    .join(', ');
}

function nameOf(type: number): string {
  const layout = descriptorOf(Int32Array.of(type, 0, 0, 0, 0, 0, 0, 0));
  return layout === null ? `of type ${type}` : layout.name.replace(/ (?:invalidate )?descriptor$/, '');
}

function reuseText({ flushes }: TraceAnalysis): string {
  if (flushes.submitted === 0)
    return 'not checked: there are no qi_submit events (intel_iommu), which tell when addresses are flushed';
  if (flushes.overflowed) return 'not checked to the end: more addresses waited for a flush than any queue holds';
  return 'checked from the first qi_submit event on; a flush of any domain counts, and device-TLBs are not looked at';
}
