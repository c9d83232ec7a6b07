/** How fast the explorer is. All that is known here of it: a case runs to its end, and says how many states that took. */
import { CASES, CaseRun, profileNamed } from '../cases/index.ts';
import type { VtdProfile } from '../iommu/vtd/index.ts';
import type { Benchmark } from './measure.ts';

function search(id: string, variant: string): Benchmark {
  const of = `${id} ${variant} (spec), one thread`;
  return {
    rows: [
      { name: `explore/${id}/states-per-second`, unit: '/s', what: `states of ${of}` },
      { name: `explore/${id}/bytes-per-state`, unit: 'B', what: `visited set and what goes with it, a state of ${of}` },
      { name: `explore/${id}/seconds`, unit: 's', what: `all of ${of}` },
    ],
    // A search of some thousand states is over before its code is compiled; larger ones take as long a state (`npm run bench:workers`).
    runs: 15,
    warmUp: 10,
    prepare(clock) {
      const definition = CASES.find((one) => one.id === id);
      if (definition === undefined) throw new Error(`no case ${id}`);
      return () => {
        const start = clock.now();
        const { states, bytesPerState } = new CaseRun(definition, variant, profileNamed('spec') as VtdProfile).finish();
        const seconds = (clock.now() - start) / 1000;
        return [states / seconds, bytesPerState, seconds];
      };
    },
  };
}

export const EXPLORATIONS: readonly Benchmark[] = [
  search('D1', 'ideal'),
  search('A1', 'queue/drain'),
  search('vtd-psi-unaligned-mask', 'fixed'),
];
