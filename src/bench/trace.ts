/** How fast a trace is read: text as it comes from a file, to findings. */
import { Explainer } from '../decode/index.ts';
import type { Benchmark } from './measure.ts';
import { shuffled } from './measure.ts';

const EVENTS = 200_000;
/** Mappings that are live at a time. */
const LIVE = 10_000;
/** Lines of a piece: half a megabyte, as of a read of a file. */
const PIECE = 4000;

const PAGE = 4096;
const TOP = 2 ** 32;

/** Maps and unmaps as ftrace prints them: each unmap takes away one of the live mappings, without a pattern. */
function tracePieces(): string[] {
  const lines: string[] = [];
  const order = shuffled(LIVE);
  const hex = (address: number) => `0x${address.toString(16).padStart(16, '0')}`;
  const add = (event: string) => {
    const time = (100 + lines.length * 2e-6).toFixed(6).padStart(12);
    lines.push(
      `      nvme-wq${lines.length % 7}-12${lines.length % 7}     [00${lines.length % 2}] d..1. ${time}: ${event}\n`,
    );
  };
  const range = (slot: number) => `iova=${hex(TOP - (slot + 1) * PAGE)} - ${hex(TOP - slot * PAGE)}`;
  const map = (slot: number) => add(`map: IOMMU: ${range(slot)} paddr=${hex(slot * 3 * PAGE)} size=4096`);
  for (let slot = 0; slot < LIVE; slot++) map(slot);
  for (let i = 0; lines.length < EVENTS; i++) {
    const slot = order[i % LIVE] as number;
    add(`unmap: IOMMU: ${range(slot)} size=4096 unmapped_size=4096`);
    map(slot);
  }
  // Each a text of its own, as a decoder of bytes gives it.
  return Array.from({ length: Math.ceil(lines.length / PIECE) }, (_, i) =>
    lines.slice(i * PIECE, (i + 1) * PIECE).join(''),
  );
}

export const TRACES: readonly Benchmark[] = [
  {
    rows: [
      {
        name: 'explain/trace',
        unit: '/s',
        what: `map and unmap events of an ftrace text, ${LIVE.toLocaleString('en')} mappings live, read, checked and reported`,
      },
    ],
    runs: 11,
    warmUp: 3,
    prepare(clock) {
      const pieces = tracePieces();
      return () => {
        const start = clock.now();
        const explainer = new Explainer();
        explainer.begin('trace');
        for (const piece of pieces) explainer.push(piece);
        explainer.end();
        const seconds = (clock.now() - start) / 1000;
        if (explainer.report.groups.some(({ finding }) => finding.severity !== 'info'))
          throw new Error('a trace without mistakes has findings');
        return [EVENTS / seconds];
      };
    },
  },
];
