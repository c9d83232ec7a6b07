/** D1 `ideal` with more DMAs in flight, for figures: `pinhole check bench/cases/d1-dmas.ts --variant four`. */
import { defineCase, VERSIONS, VtdScene } from 'pinhole';

const DMAS: Readonly<Record<string, number>> = { three: 3, four: 4, five: 5, six: 6 };
const FRAMES = 0x21d200000n;

export default defineCase({
  id: 'd1-dmas',
  title: 'D1 with more DMAs in flight',
  model: 'vtd',
  invariants: ['I2', 'I4'],
  variants: { three: 'holds', four: 'holds', five: 'holds', six: 'holds' },
  unfired: {
    'invalidation.overtake': 'the driver asks the queue to drain reads and writes, as Linux does',
    'paging.survive-hint': 'this version does not set the hint where it freed a table',
  },
  build({ variant, profile }) {
    const dmas = DMAS[variant];
    const machine = { dmaSlots: dmas };
    const scene = new VtdScene({ profile, version: VERSIONS.ideal, pdEntries: [0], machine });
    for (let i = 0n; i < 4n; i++) scene.buffer(`page ${i}`, FRAMES + i * 0x1000n);
    scene.device('vfio-pci', [0n]).stray([0n], 'read', dmas);
    scene.machine.actor('driver', function* () {
      yield* scene.domain.map(0n, FRAMES, 0x4000n);
      yield* scene.domain.unmap(0n, 0x4000n);
      yield* scene.domain.map(0n, FRAMES, 0x200000n);
    });
    return scene.machine;
  },
});
