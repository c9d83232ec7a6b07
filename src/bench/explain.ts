/** How fast `pinhole explain` reads logs, on one core: from text to findings, without what it takes to read a file or to print. */
import { Explainer } from '../decode/index.ts';
import { dmesg } from './dmesg.ts';
import type { Benchmark } from './measure.ts';
import { sink } from './measure.ts';

const CHARACTERS = 8e6;
/** As a file is read. */
const PIECE = 1 << 20;

function reading(name: string, what: string, faults: number): Benchmark {
  return {
    rows: [{ name: `explain/${name}`, unit: 'MB/s', what }],
    runs: 9,
    warmUp: 3,
    prepare(clock) {
      const text = dmesg(CHARACTERS, faults);
      const pieces = Array.from({ length: Math.ceil(text.length / PIECE) }, (_, i) =>
        text.slice(i * PIECE, (i + 1) * PIECE),
      );
      return () => {
        const start = clock.now();
        const explainer = new Explainer();
        explainer.begin('dmesg');
        for (const piece of pieces) explainer.push(piece);
        explainer.end();
        const seconds = (clock.now() - start) / 1000;
        sink.value += explainer.report.groups.length;
        return [text.length / 1e6 / seconds];
      };
    },
  };
}

export const EXPLANATIONS: readonly Benchmark[] = [
  reading('dmesg', 'text of dmesg, one line of a hundred of a fault', 1),
  reading('dmesg-quiet', 'the same without faults', 0),
  reading('faults', 'nothing but faults', 100),
];
