/** Invalidations a second, as a driver asks for them: one page at a time, and it waits until it sees that it is done. */
import { encodeHalves, get } from '../bits/index.ts';
import {
  ECAP,
  GCMD,
  IOTLB_GRANULARITY,
  IOTLB_INV_DSC,
  IQA,
  IQT,
  iotlbRegisters,
  WAIT_DSC,
} from '../iommu/vtd/index.ts';
import type { Benchmark, Clock } from './measure.ts';
import { DOMAIN, ENABLE, QUEUE, STATUS, VtdGuest } from './vtd-guest.ts';

const PAGES = 1000;
const CALLS = 20_000;

/** @param prepare makes what invalidates one page, by its number */
function invalidations(name: string, what: string, prepare: (guest: VtdGuest) => (page: number) => void): Benchmark {
  return {
    rows: [{ name: `translate/vtd/${name}`, unit: '/s', what }],
    runs: 11,
    warmUp: 3,
    prepare(clock: Clock) {
      const guest = new VtdGuest(PAGES, 4);
      const all = Int32Array.from({ length: PAGES }, (_, page) => page);
      guest.translate(all, 0, PAGES);
      const invalidate = prepare(guest);
      const one = new Int32Array(1);
      return () => {
        const start = clock.now();
        for (let i = 0; i < CALLS; i++) {
          one[0] = i % PAGES;
          invalidate(i % PAGES);
          // So that the next round has something to invalidate.
          guest.translate(one, 0, 1);
        }
        return [(CALLS * 1000) / (clock.now() - start)];
      };
    },
  };
}

const BY_REGISTER = invalidations(
  'invalidate-register',
  'page-selective, IVA and IOTLB_REG, IVT read until clear; the page is then translated again',
  (guest) => {
    const { iommu, pages } = guest;
    const ecap = new Int32Array([iommu.read(ECAP.offset, 4)]);
    const { IVA, IOTLB } = iotlbRegisters(get(ECAP.IRO, ecap) * 16);
    const command = encodeHalves(IOTLB, {
      IVT: 1,
      IIRG: IOTLB_GRANULARITY.page,
      DR: 1,
      DW: 1,
      DID: DOMAIN,
    })[1] as number;
    const busy = 2 ** (IOTLB.IVT.lo - 32);
    return (page) => {
      iommu.write(IVA.offset, 8, guest.address(page % pages));
      iommu.write(IOTLB.offset + 4, 4, command);
      if (iommu.read(IOTLB.offset + 4, 4) >= busy) throw new Error('the invalidation is not complete');
    };
  },
);

const RING_BYTES = 4096;

const BY_QUEUE = invalidations(
  'invalidate-queue',
  'page-selective descriptor and wait with status write, one doorbell for both; the page is then translated again',
  (guest) => {
    const { iommu, words } = guest;
    const invalidate = encodeHalves(IOTLB_INV_DSC, { G: IOTLB_GRANULARITY.page, DR: 1, DW: 1, DID: DOMAIN });
    const wait = encodeHalves(WAIT_DSC, { SW: 1, ADDR: BigInt(STATUS * 4096) });
    iommu.write(IQT.offset, 4, 0);
    iommu.write(IQA.offset, 8, QUEUE * 4096);
    iommu.write(GCMD.offset, 4, ENABLE + 2 ** GCMD.QIE.lo);
    let tail = 0;
    let ticket = 0;
    return (page) => {
      const at = QUEUE * 1024 + tail / 4;
      const address = guest.address(page);
      words.set(invalidate, at);
      words[at + 2] = address | 0;
      words[at + 3] = address / 2 ** 32;
      words.set(wait, at + 4);
      ticket = (ticket + 1) | 0;
      words[at + 5] = ticket;
      tail = (tail + 32) % RING_BYTES;
      iommu.write(IQT.offset, 4, tail);
      if (words[STATUS * 1024] !== ticket) throw new Error('the wait is not complete');
    };
  },
);

export const INVALIDATIONS: readonly Benchmark[] = [BY_REGISTER, BY_QUEUE];
