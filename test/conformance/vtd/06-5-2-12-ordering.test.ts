import { describe, expect, test } from 'vitest';
import { RULES, Vtd } from '../../../src/iommu/vtd/index.ts';
import { EventLog, Machine, RamMemory } from '../../../src/machine/index.ts';
import type { Descriptor } from './unit.ts';
import { Bench, contextInv, FSTS, iotlbInv, QIE, QUEUE, REG, STATUS, wait } from './unit.ts';

/** c context-cache, i IOTLB invalidation, w wait, f wait with FN. */
type Kind = 'c' | 'i' | 'w' | 'f';

/** Descriptor `n` of a queue, with `n` in it so that its execution can be told. */
function descriptor(kind: Kind, n: number): Descriptor {
  if (kind === 'c') return contextInv(2, n);
  if (kind === 'i') return iotlbInv({ g: 2, did: n });
  return wait({ sw: 1, fn: kind === 'f' ? 1 : 0, data: BigInt(n), addr: STATUS });
}

/** All orders in which the clause permits execution, with at most `ahead` descriptors fetched and not executed. */
function permitted(queue: readonly Kind[], ahead: number): Set<string> {
  const isWait = (n: number) => queue[n] === 'w' || queue[n] === 'f';
  const orders = new Set<string>();
  const extend = (done: readonly number[]) => {
    if (done.length === queue.length) orders.add(done.join(' '));
    for (let n = 0; n < queue.length; n++) {
      if (done.includes(n)) continue;
      const open = Array.from({ length: n }, (_, i) => i).filter((i) => !done.includes(i));
      if (open.length > ahead) continue;
      if (open.some((i) => queue[i] === 'f')) continue;
      if (queue[n] === 'i' && open.some((i) => queue[i] === 'c')) continue;
      let previous = n - 1;
      while (previous >= 0 && !isWait(previous)) previous--;
      if (isWait(n) && open.some((i) => i > previous)) continue;
      extend([...done, n]);
    }
  };
  extend([]);
  return orders;
}

/** All orders that the unit shows when every choice of its queue is tried. */
function shown(queue: readonly Kind[], ahead: number): Set<string> {
  const machine = new Machine({ dmaSlots: 1 });
  const ram = new RamMemory(64);
  const log = new EventLog();
  log.on = true;
  const parts = { arena: machine.arena, tables: ram, memory: ram, dma: machine.dma, log };
  const unit = new Vtd(parts, { fetchAhead: ahead });
  queue.forEach((kind, n) => {
    const [lo, hi] = descriptor(kind, n);
    const at = ram.locate(Number(QUEUE >> 12n), 2 * n);
    ram.write(at, Number(lo & 0xffff_ffffn), Number(lo >> 32n));
    ram.write(at + 2, Number(hi & 0xffff_ffffn), Number(hi >> 32n));
  });
  unit.write(REG.IQA, 8, Number(QUEUE), 0);
  unit.write(REG.GCMD, 4, QIE, 0);
  unit.write(REG.IQT, 4, 16 * queue.length, 0);
  const agent = unit.agents[0] as (typeof unit.agents)[number];
  const orders = new Set<string>();
  const contexts = queue.flatMap((kind, n) => (kind === 'c' ? [n] : []));
  const extend = (done: readonly (number | 'c')[]) => {
    const before = machine.arena.snapshot();
    const choices = agent.choices();
    if (choices === 0) {
      // Context invalidations look alike in the log: the model keeps them in order, which loses nothing to be seen.
      let next = 0;
      orders.add(done.map((one) => (one === 'c' ? contexts[next++] : one)).join(' '));
    }
    for (let choice = 0; choice < choices; choice++) {
      log.take();
      agent.step(choice);
      const line = log.take()[0]?.text ?? '';
      const told = /DID (\d+)|status 0x([0-9a-f]+)/.exec(line);
      if (line.startsWith('context')) extend([...done, 'c']);
      else if (told !== null) extend([...done, Number(told[1] ?? `0x${told[2]}`)]);
      else extend(done);
      machine.arena.restore(before);
    }
  };
  extend([]);
  return orders;
}

/** The same orders where context invalidations cannot be told apart. */
function alike(orders: Set<string>, queue: readonly Kind[]): Set<string> {
  const contexts = queue.flatMap((kind, n) => (kind === 'c' ? [n] : []));
  return new Set(
    [...orders].map((order) => {
      let next = 0;
      return order
        .split(' ')
        .map((n) => (queue[Number(n)] === 'c' ? contexts[next++] : n))
        .join(' ');
    }),
  );
}

const QUEUES = ['ii', 'ci', 'ic', 'cic', 'iw', 'wi', 'fi', 'iwi', 'ifi', 'iwiw', 'iiw', 'wcwi', 'iwfi', 'cwiw', 'iciw'];

describe('6.5.2.12 the order of descriptors', () => {
  test.each(QUEUES.flatMap((queue) => [0, 1, 2, 3].map((ahead) => [queue, ahead] as const)))(
    '6.5.2.12 %s with %i fetched ahead: the orders that are permitted, no others',
    (queue, ahead) => {
      const kinds = [...queue] as Kind[];
      expect([...shown(kinds, ahead)].sort()).toEqual([...alike(permitted(kinds, ahead), kinds)].sort());
    },
  );

  test('6.5.2.12 the examples are examples: without fetching ahead there is one order, with it there are more', () => {
    expect(shown(['i', 'i', 'w'], 0)).toEqual(new Set(['0 1 2']));
    expect(shown(['i', 'i', 'w'], 2)).toEqual(new Set(['0 1 2', '1 0 2']));
    expect(shown(['c', 'i'], 2)).toEqual(new Set(['0 1']));
    expect(shown(['i', 'w', 'i', 'w'], 3)).toContain('2 3 0 1');
    expect(shown(['i', 'f', 'i', 'w'], 3)).toEqual(new Set(['0 1 2 3']));
    expect(RULES.postponed.clause).toBe('VT-d 6.5.2.12');
  });

  test('6.5.2.9 a wait that is held does not stop what follows it, unless FN is set', () => {
    for (const fn of [0, 1]) {
      const bench = new Bench({ dmaSlots: 2, fetchAhead: 2 }).start().startQueue();
      const tree = bench.tree();
      bench.attach(8, tree, 1);
      bench.map(tree, 0x5000n, 0x111003n);
      const flight = bench.issue(8, 0x5000n, 2);
      flight.walk();
      bench.submit(
        iotlbInv({ g: 1, dw: 1 }),
        wait({ sw: 1, data: 1n, addr: STATUS, fn }),
        wait({ sw: 1, data: 2n, addr: STATUS + 8n }),
        contextInv(1),
      );
      expect(bench.unit.caches.context.isEmpty()).toBe(fn === 0);
      expect(bench.peek(STATUS)).toBe(0n);
      flight.perform();
      bench.run();
      expect(bench.peek(STATUS)).toBe(1n);
      expect(bench.peek(STATUS + 8n)).toBe(2n);
      expect(bench.unit.caches.context.isEmpty()).toBe(true);
    }
  });

  test('6.5.2.11 what was fetched ahead of a bad descriptor is executed all the same', () => {
    const bench = new Bench({ dmaSlots: 1, fetchAhead: 2 }).startQueue();
    bench.poke(QUEUE, wait({ sw: 1, data: 7n, addr: STATUS })[0]);
    bench.poke(QUEUE + 8n, STATUS);
    bench.poke(QUEUE + 16n, 0n);
    bench.write32(REG.IQT, 32);
    const agent = bench.unit.agents[0] as (typeof bench.unit.agents)[number];
    agent.step(1);
    expect([bench.read32(REG.IQH), bench.peek(STATUS)]).toEqual([16, 0n]);
    agent.step(0);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.IQE);
    bench.run();
    expect([bench.read32(REG.IQH), bench.peek(STATUS)]).toEqual([16, 7n]);
  });
});
