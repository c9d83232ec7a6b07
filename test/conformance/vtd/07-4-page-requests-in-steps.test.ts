/** VT-d 7.4 – 7.11 in steps: a device that waits for a page, its page requests on their way, and how they are drained. */
import { describe, expect, test } from 'vitest';
import type { Requester } from '../../../src/machine/index.ts';
import { MARK, SLOT } from '../../../src/machine/index.ts';
import { AT, PGTT, SID, World } from './scalable-world.ts';

const [PQH, PQT, PRS] = [0xc0, 0xc8, 0xdc];
const [DTE, PRE] = [4n, 16n];
const LEAF = AT.first[3];
const [PPR, PRO] = [1, 2];

/** Devices that can wait for one page each, unless they are told otherwise; no page is mapped. */
function setUp(options: { requests?: number; pgtt?: number; context?: bigint; PDS?: number } = {}) {
  const { requests = 2, pgtt = PGTT.first, context = DTE | PRE, PDS = 1 } = options;
  const world = new World({
    pgtt,
    machine: { dmaSlots: 3, atcEntries: 4, pageRequests: requests },
    unit: { ecap: { DT: 1, PRS: 1, PDS }, itags: 1 },
    context,
  });
  world.attach(SID + 1, context);
  world.machine.poke(LEAF, 0n);
  return world;
}

const waiter = (world: World, more: Partial<Requester> = {}) =>
  world.device({ pasid: 1, ats: true, pageRequests: 1, ...more });

/** One DMA, and its agent. */
function send(world: World, device: number, access = 1) {
  const { dma } = world.machine;
  const slot = dma.issue(device, 0n, access, true);
  const agent = dma.agents[(slot - dma.at(0)) / (dma.at(1) - dma.at(0))] as (typeof dma.agents)[number];
  const has = (mark: number) => (dma.get(slot, SLOT.flags) & mark) !== 0;
  const toPage = () => {
    while (!has(MARK.page) && agent.choices() > 0) agent.step(0);
    return has(MARK.page);
  };
  const toEnd = () => {
    while (agent.choices() > 0) agent.step(0);
    return dma.get(slot, SLOT.phase) === 4 ? 'completed' : dma.get(slot, SLOT.phase) === 5 ? 'aborted' : 'waits';
  };
  return { agent, has, slot, toEnd, toPage };
}

const agentOf = (world: World, name: string) => {
  const found = world.machine.hardware.find((agent) => agent.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
};
const queue = (world: World) => agentOf(world, 'VT-d invalidation queue');
const request = (world: World, i = 0) => agentOf(world, `page request ${i}`);
const itag = (world: World) => agentOf(world, 'device-TLB invalidation 0');

const response = (group = 0n, code = 0n, pasid = 1n, sid = SID) => [
  9n | 16n | (code << 12n) | (BigInt(sid) << 16n) | (pasid << 32n),
  group << 3n,
];
const deviceTlb = (pasid = 1n) => [8n | (pasid << 32n) | (BigInt(SID) << 16n), 0n];
const wait = (pd: bigint) => [5n | 32n | (pd << 7n) | (1n << 32n), AT.status];

describe('7.4, 7.6: a device waits for a page', () => {
  test('it asks, sends a page request, software maps the page and answers, it asks again', () => {
    const world = setUp();
    const dma = send(world, waiter(world, { privileged: false }), 2);
    expect(dma.toPage()).toBe(true);
    expect([dma.agent.choices(), world.read32(PQT), world.read32(PRS)]).toEqual([0, 0, 0]);
    request(world).step(0);
    expect([world.unit.peek(PQT, 4).lo, world.unit.peek(PRS, 4).lo]).toEqual([0, 0]);
    request(world).step(0);
    expect([world.read32(PQT), world.read32(PRS)]).toEqual([32, PPR]);
    // TYPE 1, PP, RID, PASID 1; WRR and LPIG, group 0, page 0.
    expect([world.peek(AT.pages), world.peek(AT.pages + 8n)]).toEqual([
      0x101n | (BigInt(SID) << 16n) | (1n << 32n),
      6n,
    ]);
    expect(dma.toEnd()).toBe('waits');
    world.machine.poke(LEAF, AT.page | 7n);
    world.queue(response());
    queue(world).step(0);
    expect([dma.has(MARK.page), dma.has(MARK.ats)]).toEqual([false, true]);
    while (!dma.has(MARK.direct)) dma.agent.step(0);
    // Nothing tells it from one that found its page at once.
    expect(dma.has(~(MARK.direct | MARK.waited | MARK.steady))).toBe(false);
    expect(dma.toEnd()).toBe('completed');
    expect(world.peek(LEAF)).toBe(AT.page | 0x67n);
  });

  test.each([
    ['one page request: gives up at the second fault', 1, 'aborted'],
    ['two: sends another one', 2, 'waits'],
    ['none: gives up at the first fault, and sends nothing', 0, 'aborted'],
  ])('a device with %s', (_, pageRequests, end) => {
    const world = setUp();
    const dma = send(world, waiter(world, { pageRequests }));
    expect(dma.toPage()).toBe(pageRequests > 0);
    if (pageRequests > 0) {
      // Software answers, and has mapped nothing.
      for (let i = 0; i < 2; i++) request(world).step(0);
      world.queue(response());
      queue(world).step(0);
    }
    expect(dma.toEnd()).toBe(end);
    expect([request(world).choices(), world.read32(0x34)]).toEqual([end === 'waits' ? 1 : 0, 0]);
  });

  test.each([
    [0n, false],
    [1n, true],
    [15n, true],
  ])('table 32: response code %i', (code, gone) => {
    const world = setUp();
    const dma = send(world, waiter(world));
    dma.toPage();
    for (let i = 0; i < 2; i++) request(world).step(0);
    world.machine.poke(LEAF, AT.page | 7n);
    world.queue(response(0n, code));
    queue(world).step(0);
    expect(dma.toEnd()).toBe(gone ? 'aborted' : 'completed');
  });

  test.each([
    ['another group', response(1n)],
    ['another PASID', response(0n, 0n, 2n)],
    ['another device', response(0n, 0n, 1n, SID + 1)],
  ])('7.9: an answer to %s is discarded', (_, descriptor) => {
    const world = setUp();
    const dma = send(world, waiter(world));
    world.device({ name: 'other', sid: SID + 1, ats: true });
    dma.toPage();
    world.queue(descriptor);
    queue(world).step(0);
    expect(dma.has(MARK.page)).toBe(true);
    world.queue(response());
    queue(world).step(0);
    expect(dma.has(MARK.page)).toBe(false);
  });

  test('without PASID the descriptor has PP = 0, and the answer matches without', () => {
    const world = setUp();
    const dma = send(world, world.device({ ats: true, pageRequests: 1 }));
    dma.toPage();
    for (let i = 0; i < 2; i++) request(world).step(0);
    expect(world.peek(AT.pages)).toBe(1n | (BigInt(SID) << 16n));
    world.queue([9n | (BigInt(SID) << 16n), 0n]);
    queue(world).step(0);
    expect(dma.has(MARK.page)).toBe(false);
  });

  test('two of a device that wait have two groups; a third has no room for its page request until one is delivered', () => {
    const world = setUp();
    const nic = waiter(world);
    const [a, b, c] = [send(world, nic), send(world, nic), send(world, nic)];
    expect([a.toPage(), b.toPage(), c.toPage()]).toEqual([true, true, false]);
    expect([a, b].map(({ slot }) => world.machine.dma.get(slot, SLOT.level))).toEqual([0, 1]);
    for (let i = 0; i < 2; i++) request(world).step(0);
    expect(c.toPage()).toBe(true);
    world.queue(response(1n));
    queue(world).step(0);
    expect([a, b, c].map(({ has }) => has(MARK.page))).toEqual([true, false, true]);
  });

  test('a program’s device that waits needs room for page requests', () => {
    const { machine } = new World();
    expect(() => machine.device('nic', SID, 1, [0n], { pageRequests: 1 })).toThrow('pageRequests');
  });
});

describe('7.4.1, table 31: requests that are not queued', () => {
  test('PRE = 0: reason 0x47, and an invalid request for the device', () => {
    const world = setUp({ context: DTE });
    const dma = send(world, waiter(world));
    dma.toPage();
    request(world).step(0);
    expect(dma.toEnd()).toBe('aborted');
    expect([world.read32(0x220 + 12) & 0xff, world.read32(PQT), request(world).choices()]).toEqual([0x47, 0, 0]);
  });

  test('a full queue: PRO, the device is told of success and tries again; so while PRO is set', () => {
    const world = setUp();
    world.unit.write(PQH, 4, 32, 0);
    const dma = send(world, waiter(world, { pageRequests: 3 }));
    dma.toPage();
    request(world).step(0);
    expect([world.read32(PRS), dma.has(MARK.ats)]).toEqual([PRO, true]);
    world.unit.write(PQH, 4, 0, 0);
    dma.toPage();
    request(world).step(0);
    expect([world.read32(PRS), dma.has(MARK.ats), world.read32(PQT)]).toEqual([PRO, true, 0]);
    world.unit.write(PRS, 4, PRO, 0);
    dma.toPage();
    for (let i = 0; i < 2; i++) request(world).step(0);
    expect([world.read32(PRS), world.read32(PQT)]).toEqual([PPR, 32]);
  });

  test('those that were accepted have their places: all but one of the queue’s', () => {
    const world = setUp();
    world.unit.write(PQH, 4, 64, 0);
    const nic = waiter(world);
    const [a, b] = [send(world, nic), send(world, nic)];
    a.toPage();
    b.toPage();
    request(world, 0).step(0);
    request(world, 1).step(0);
    expect([a.has(MARK.page), b.has(MARK.page), world.unit.peek(PRS, 4).lo]).toEqual([true, false, PRO]);
    request(world, 0).step(0);
    expect(world.read32(PQT)).toBe(32);
  });
});

describe('6.5.3.1: implicit invalidation', () => {
  test('what the IOTLB has of the page goes, so that a right that was added is found; and no wait is held by it', () => {
    const world = setUp();
    world.machine.poke(LEAF, AT.page | 5n);
    const plain = world.device({ name: 'plain', pasid: 1 });
    const first = send(world, plain);
    while (first.agent.choices() > 0 && world.phase(first.slot) !== 'translated') first.agent.step(0);
    expect(world.unit.scalableCaches?.iotlb.isEmpty()).toBe(false);
    const dma = send(world, waiter(world), 2);
    dma.toPage();
    request(world).step(0);
    expect(world.unit.scalableCaches?.iotlb.isEmpty()).toBe(true);
    world.queue(wait(0n));
    queue(world).step(0);
    expect(world.peek(AT.status)).toBe(1n);
  });
});

describe('7.7: page requests on their way', () => {
  test('of one device they arrive in order; of two in any; and from there on all keep theirs', () => {
    const world = setUp({ requests: 3 });
    const nic = waiter(world);
    const other = waiter(world, { name: 'other', sid: SID + 1 });
    for (const device of [nic, nic, other]) send(world, device).toPage();
    const choices = () => [0, 1, 2].map((i) => request(world, i).choices());
    expect(choices()).toEqual([1, 0, 1]);
    request(world, 2).step(0);
    request(world, 0).step(0);
    expect(choices()).toEqual([0, 1, 1]);
    request(world, 1).step(0);
    for (const i of [2, 0, 1]) {
      expect(choices()[i]).toBe(1);
      request(world, i).step(0);
    }
    const rids = [0n, 32n, 64n].map((at) => Number((world.peek(AT.pages + at) >> 16n) & 0xffffn));
    expect(rids).toEqual([SID + 1, SID, SID]);
  });

  test.each([
    ['dispatched', 0],
    ['accepted', 1],
  ])('a device-TLB invalidation and a wait with PD: one that was %s is delivered first', (_, steps) => {
    const world = setUp();
    send(world, waiter(world)).toPage();
    for (let i = 0; i < steps; i++) request(world).step(0);
    world.queue(deviceTlb(), wait(1n));
    queue(world).step(0);
    queue(world).step(0);
    itag(world).step(0);
    // The completion is behind what the device has dispatched.
    expect(itag(world).choices()).toBe(steps);
    if (steps === 0) request(world).step(0);
    itag(world).step(0);
    expect([queue(world).choices(), world.peek(AT.status), world.unit.peek(PQT, 4).lo]).toEqual([0, 0n, 0]);
    request(world).step(0);
    queue(world).step(0);
    expect([world.peek(AT.status), world.unit.peek(PQT, 4).lo]).toEqual([1n, 32]);
  });

  test('with PD = 0 the wait completes while it is accepted and not delivered', () => {
    const world = setUp();
    send(world, waiter(world)).toPage();
    request(world).step(0);
    world.queue(deviceTlb(), wait(0n));
    for (let i = 0; i < 2; i++) queue(world).step(0);
    for (let i = 0; i < 2; i++) itag(world).step(0);
    queue(world).step(0);
    expect([world.peek(AT.status), world.unit.peek(PQT, 4).lo]).toEqual([1n, 0]);
  });

  test('a wait with PD alone drains nothing: no completion has told what arrived before it', () => {
    for (const steps of [0, 1]) {
      const world = setUp();
      send(world, waiter(world)).toPage();
      for (let i = 0; i < steps; i++) request(world).step(0);
      world.queue(wait(1n));
      queue(world).step(0);
      expect([world.peek(AT.status), world.unit.peek(PQT, 4).lo]).toEqual([1n, 0]);
    }
  });

  test('one that arrives behind the completion is not waited for', () => {
    const world = setUp();
    const nic = waiter(world);
    world.queue(deviceTlb(), wait(1n));
    queue(world).step(0);
    queue(world).step(0);
    for (let i = 0; i < 2; i++) itag(world).step(0);
    send(world, nic).toPage();
    request(world).step(0);
    queue(world).step(0);
    expect([world.peek(AT.status), world.unit.peek(PQT, 4).lo]).toEqual([1n, 0]);
  });

  test.each([
    ['PQT', PQT, 4, 32],
    ['PQT with what is beside it', PQT - 4, 8, 32],
    ['PRS', PRS, 4, 32],
    ['PECTL', 0xe0, 4, 32],
    ['PQA, between them', 0xd0, 8, 0],
    ['PQH', PQH, 8, 0],
    ['PEDATA', 0xe4, 4, 0],
  ])('7.5: a read of %s pushes what was accepted, not what was dispatched', (_, offset, size, tail) => {
    const world = setUp();
    const nic = waiter(world);
    for (let i = 0; i < 2; i++) send(world, nic).toPage();
    request(world, 0).step(0);
    world.unit.peek(offset, size);
    expect(world.unit.peek(PQT, 4).lo).toBe(0);
    world.unit.read(offset, size);
    expect(world.unit.peek(PQT, 4).lo).toBe(tail);
  });
});

describe('7.8, 7.9: answers, and devices that stop', () => {
  test('7.8: a response passes no device-TLB invalidation, nor is it passed by one', () => {
    for (const first of [response(), deviceTlb()]) {
      const world = new World({
        machine: { dmaSlots: 1, atcEntries: 1, pageRequests: 1 },
        unit: { ecap: { DT: 1, PRS: 1 }, itags: 1, fetchAhead: 2 },
        context: DTE | PRE,
      });
      waiter(world);
      world.queue(first, first[0] === response()[0] ? deviceTlb() : response());
      // Executed at once, or put off.
      expect(queue(world).choices()).toBe(2);
      queue(world).step(1);
      // The second may be put off too, or the first executed; with both put off, the first alone.
      expect(queue(world).choices()).toBe(2);
      queue(world).step(0);
      expect(queue(world).choices()).toBe(1);
    }
  });

  test('7.9: a device that stops forgets what it waits with; its page request arrives, and the answer is discarded', () => {
    const world = setUp();
    const nic = waiter(world);
    const dma = send(world, nic);
    const other = send(world, nic);
    dma.toPage();
    world.machine.dma.ats?.pages?.forget(nic);
    expect([dma.toEnd(), world.phase(other.slot)]).toEqual(['aborted', 'issued']);
    for (let i = 0; i < 2; i++) request(world).step(0);
    expect(world.read32(PQT)).toBe(32);
    world.queue(response());
    queue(world).step(0);
    expect(world.read32(0x34)).toBe(0);
  });
});
