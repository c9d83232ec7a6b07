import { describe, expect, test } from 'vitest';
import { ACCESS, PHASE, SLOT } from './dma.ts';
import { FACT } from './facts.ts';
import { Machine } from './machine.ts';
import { MARK } from './marks.ts';
import { bdf } from './requester.ts';
import type { Translator } from './translator.ts';

const IOVA = 0x5008n;
const VPN = 5;
const PFN = 0x10;

/** Takes one step to look at the transaction, another to translate it to the frame it is told, or to refuse it. */
class FakeTranslator implements Translator {
  to: number | null = PFN;
  private readonly machine: Machine;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  choices(slot: number): number {
    return this.machine.dma.get(slot, SLOT.phase) === PHASE.issued ? 3 : 1;
  }

  step(slot: number): void {
    if (this.machine.dma.get(slot, SLOT.phase) === PHASE.issued) {
      this.machine.dma.set(slot, SLOT.phase, PHASE.translating);
    } else this.immediate(slot);
  }

  immediate(slot: number): void {
    const { dma } = this.machine;
    if (this.to === null) dma.abort(slot);
    else dma.translated(slot, Math.floor(this.to / 0x100000), this.to % 0x100000);
  }
}

/** A nic that aims at page 5, which is granted to the frame `buf`, and a second frame that belongs to the victim. */
function setup() {
  const machine = new Machine({ dmaSlots: 2 });
  const mine = machine.owner('buffer of nic', 'buffer', 1);
  const frame = machine.frame('buf', BigInt(PFN) << 12n, mine, [0, 1, 2]);
  machine.frame('secret', 0x20000n, machine.owner('victim', 'other'), [1]);
  machine.device('nic', 0x0208, 1, [IOVA]);
  machine.grants.begin(1, VPN, 1);
  machine.grants.granted(1, VPN, 1, PFN);
  const translator = new FakeTranslator(machine);
  const { dma, facts, grants, memory } = machine;
  dma.translator = translator;
  const word = (pfn: number, n: number) => memory.lo(memory.locate(pfn, n)) >>> 0;
  const own = (owner: number) => machine.frames.setOwner(frame.index, owner);
  const [agent] = dma.agents;
  const phase = () => dma.get(dma.at(0), SLOT.phase);
  /** Steps slot 0 until the transaction is translated or over. */
  const translate = () => {
    while (phase() === PHASE.issued || phase() === PHASE.translating) agent.step(0);
  };
  return { machine, dma, facts, grants, translator, word, own, agent, phase, translate };
}

const issue = (s: ReturnType<typeof setup>, access: number = ACCESS.write, waited = false) =>
  s.dma.issue(0, IOVA, access, waited);

test('a source id reads as bus:device.function', () => {
  expect([0, 0x0208, 0xffff].map(bdf)).toEqual(['00:00.0', '02:01.0', 'ff:1f.7']);
});

describe('the life of a transaction', () => {
  test('issued, translated step by step, performed', () => {
    const s = setup();
    expect(s.agent.choices()).toBe(0);
    issue(s);
    const phases = [s.phase()];
    const choices = [s.agent.choices()];
    for (let i = 0; i < 3; i++) {
      s.agent.step(0);
      phases.push(s.phase());
      choices.push(s.agent.choices());
    }
    expect(phases).toEqual([PHASE.issued, PHASE.translating, PHASE.translated, PHASE.free]);
    expect(choices).toEqual([3, 1, 1, 0]);
  });

  test('its words are zero again when it is over', () => {
    const s = setup();
    const before = s.machine.arena.snapshot();
    issue(s, ACCESS.read);
    s.translate();
    s.agent.step(0);
    expect(s.machine.arena.diff(before, s.machine.arena.snapshot())).toEqual([]);
  });

  test('one that is waited for keeps only its device and how it ended', () => {
    const s = setup();
    const before = s.machine.arena.snapshot();
    const slot = issue(s, ACCESS.read, true);
    s.translate();
    expect(s.dma.finished(0)).toBe(-1);
    s.agent.step(0);
    expect(s.machine.arena.diff(before, s.machine.arena.snapshot())).toEqual([
      { word: 'dma[0].phase', from: 0, to: PHASE.completed },
    ]);
    expect(s.dma.finished(0)).toBe(slot);
    expect(s.agent.choices()).toBe(0);
    expect(s.dma.collect(slot)).toBe(1);
    expect(s.dma.finished(0)).toBe(-1);
  });

  test('a refused one that is waited for ends aborted', () => {
    const s = setup();
    s.translator.to = null;
    const slot = issue(s, ACCESS.write, true);
    s.translate();
    expect(s.phase()).toBe(PHASE.aborted);
    expect(s.dma.collect(slot)).toBe(0);
    expect(s.word(PFN, 1)).toBe(0);
  });

  test('another device does not see it finished', () => {
    const s = setup();
    s.machine.device('disk', 0x0300, 1, []);
    issue(s, ACCESS.read, true);
    s.translate();
    s.agent.step(0);
    expect([s.dma.finished(0) >= 0, s.dma.finished(1) >= 0]).toEqual([true, false]);
  });

  test('it is in flight until it is over, and has a slot until it was collected', () => {
    const s = setup();
    const counts = [[s.dma.inFlight(0), s.dma.freeSlots()]];
    const slot = issue(s, ACCESS.read, true);
    counts.push([s.dma.inFlight(0), s.dma.freeSlots()]);
    s.translate();
    s.agent.step(0);
    counts.push([s.dma.inFlight(0), s.dma.freeSlots()]);
    s.dma.collect(slot);
    counts.push([s.dma.inFlight(0), s.dma.freeSlots()]);
    expect(counts).toEqual([
      [0, 2],
      [1, 1],
      [0, 1],
      [0, 2],
    ]);
  });

  test('there are as many as there are slots', () => {
    const s = setup();
    issue(s);
    expect(s.dma.hasFree()).toBe(true);
    issue(s);
    expect(s.dma.hasFree()).toBe(false);
    expect(() => issue(s)).toThrow('no free DMA slot');
  });

  test('without a translator it goes where it says', () => {
    const s = setup();
    s.dma.translator = null;
    const frame = 0x12345_6789a;
    s.machine.frame('far', BigInt(frame) << 12n, s.machine.owner('buffer of nic', 'buffer', 1), [1]);
    s.dma.issue(0, (BigInt(frame) << 12n) + 8n, ACCESS.write, false);
    s.agent.step(0);
    s.agent.step(0);
    expect(s.word(frame, 1)).not.toBe(0);
  });

  test('at once, where the conduct is prompt', () => {
    const s = setup();
    s.dma.immediate = true;
    issue(s);
    expect(s.phase()).toBe(PHASE.free);
    expect(s.word(PFN, 1)).not.toBe(0);
    s.translator.to = null;
    const slot = issue(s, ACCESS.write, true);
    expect(s.dma.collect(slot)).toBe(0);
  });
});

describe('where it lands', () => {
  test('a write becomes visible when it is performed, not when it is translated', () => {
    const s = setup();
    issue(s);
    s.translate();
    expect(s.word(PFN, 1)).toBe(0);
    s.agent.step(0);
    expect(s.word(PFN, 1)).toBe(0xd0a00000 + (VPN << 4));
    expect([s.word(PFN, 0), s.word(PFN, 2)]).toEqual([0, 0]);
    expect(s.facts.bits).toBe(0);
  });

  test('a read changes nothing', () => {
    const s = setup();
    issue(s, ACCESS.read);
    s.translate();
    s.agent.step(0);
    expect(s.word(PFN, 1)).toBe(0);
    expect(s.facts.bits).toBe(0);
  });

  test('in a frame that went to a new owner since: the write is foreign, the read leaks', () => {
    for (const [access, fact] of [
      [ACCESS.write, FACT.foreignWrite],
      [ACCESS.read, FACT.leakedRead],
    ]) {
      const s = setup();
      issue(s, access);
      s.translate();
      s.own(s.machine.owner('victim', 'other'));
      s.agent.step(0);
      expect(s.facts.bits).toBe(fact);
    }
  });

  test.each([
    ['free', -1, 0],
    ['buffer', 1, 0],
    ['buffer', 2, FACT.foreignWrite],
    ['table', 1, FACT.foreignWrite],
    ['other', 1, FACT.foreignWrite],
  ] as const)('in a frame of kind %s and domain %i', (kind, did, fact) => {
    const s = setup();
    issue(s);
    s.translate();
    s.own(kind === 'free' ? 0 : s.machine.owner('somebody', kind, did));
    s.agent.step(0);
    expect(s.facts.bits).toBe(fact);
  });

  test('where there is no memory it is aborted', () => {
    const s = setup();
    s.machine.grants.begin(1, VPN, 1);
    s.translator.to = 0x999;
    const slot = issue(s, ACCESS.write, true);
    s.translate();
    s.agent.step(0);
    expect(s.facts.bits).toBe(0);
    expect(s.dma.collect(slot)).toBe(0);
  });

  test('the story names device, frame and owner', () => {
    const s = setup();
    s.machine.log.on = true;
    issue(s);
    s.translate();
    s.agent.step(0);
    expect(s.machine.log.take()).toEqual([
      { lane: 'device', text: 'nic [02:01.0] DMA write 0x5008' },
      { lane: 'memory', text: 'the write of nic lands in buf (0x10008, owner: buffer of nic)' },
    ]);
  });
});

describe('a promise about its page', () => {
  test('that was taken back before it was translated: a stale translation', () => {
    const s = setup();
    issue(s);
    s.grants.revoked(1, VPN, 1);
    s.translate();
    expect(s.facts.bits).toBe(FACT.staleTranslation);
  });

  test('that is being changed permits any outcome', () => {
    for (const to of [PFN, 0x20, null]) {
      const s = setup();
      s.translator.to = to;
      s.grants.begin(1, VPN, 1);
      issue(s);
      s.translate();
      expect(s.facts.bits).toBe(0);
    }
  });

  test('that stood all the time, and yet it was refused: denied, inside the last call', () => {
    const s = setup();
    s.translator.to = null;
    issue(s);
    s.translate();
    expect(s.facts.bits).toBe(FACT.deniedInside);
  });

  test('… outside, if the last call was about other pages', () => {
    const s = setup();
    s.translator.to = null;
    s.grants.begin(1, VPN + 1, 8);
    issue(s);
    s.translate();
    expect(s.facts.bits).toBe(FACT.deniedOutside);
  });

  test('… and if it went to another frame instead, it is stale and denied', () => {
    const s = setup();
    s.translator.to = 0x20;
    issue(s);
    s.translate();
    expect(s.facts.bits).toBe(FACT.staleTranslation | FACT.deniedInside);
  });

  test('that changed on the way is not steady: no denial', () => {
    for (const to of [0x20, null]) {
      const s = setup();
      s.translator.to = to;
      const slot = issue(s);
      expect(s.dma.get(slot, SLOT.flags)).toBe(MARK.steady);
      s.grants.begin(1, VPN, 1);
      s.grants.granted(1, VPN, 1, PFN);
      expect(s.dma.get(slot, SLOT.flags)).toBe(0);
      s.translate();
      expect(s.facts.bits).toBe(0);
    }
  });

  test('about another page leaves it steady', () => {
    const s = setup();
    s.machine.device('disk', 0x0300, 1, [0x6000n]);
    const slot = issue(s);
    s.grants.begin(1, 6, 1);
    expect(s.dma.get(slot, SLOT.flags)).toBe(MARK.steady);
  });

  test('is not asked where the device does not aim', () => {
    const s = setup();
    s.dma.issue(0, 0x9000n, ACCESS.write, false);
    s.translate();
    expect(s.facts.bits).toBe(0);
  });
});

describe('marks', () => {
  test('are found on any transaction', () => {
    const s = setup();
    issue(s);
    const second = issue(s);
    expect(s.dma.anyMarked(MARK.holdDrain)).toBe(false);
    s.dma.mark(second, MARK.holdDrain);
    expect(s.dma.anyMarked(MARK.holdDrain | MARK.holdWalk)).toBe(true);
    expect(s.dma.get(second, SLOT.flags)).toBe(MARK.steady | MARK.holdDrain);
  });

  test('of the walk end with it, that of the drain only with the transaction', () => {
    const s = setup();
    const slot = issue(s, ACCESS.write, true);
    s.dma.mark(slot, MARK.stale | MARK.holdWalk | MARK.holdDrain);
    s.translate();
    expect(s.dma.get(slot, SLOT.flags)).toBe(MARK.holdDrain | MARK.waited);
    s.agent.step(0);
    expect(s.dma.anyMarked(-1)).toBe(false);
  });
});

describe('a table that a walk reads', () => {
  test.each([
    ['table', 1, 0],
    ['table', 2, FACT.foreignWalk],
    ['buffer', 1, FACT.foreignWalk],
    ['free', -1, FACT.foreignWalk],
  ] as const)('in a frame of kind %s and domain %i', (kind, did, fact) => {
    const s = setup();
    s.own(kind === 'free' ? 0 : s.machine.owner('somebody', kind, did));
    s.dma.tableRead(PFN, 1);
    expect(s.facts.bits).toBe(fact);
  });

  test('where there is no memory it belongs to nobody', () => {
    const s = setup();
    s.dma.tableRead(0x999, 1);
    expect(s.facts.bits).toBe(0);
  });
});

describe('a request for several words', () => {
  test('writes all of its words and none behind them', () => {
    const s = setup();
    s.dma.issue(0, 0x5000n, ACCESS.write, false, 2);
    s.translate();
    s.agent.step(0);
    expect([0, 1, 2].map((n) => s.word(PFN, n) !== 0)).toEqual([true, true, false]);
  });

  test('across a page is our own mistake', () => {
    expect(() => setup().dma.issue(0, 0x5ff8n, ACCESS.write, false, 2)).toThrow('a request crosses a page');
  });
});
