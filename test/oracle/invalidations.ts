/** Invalidations of a random script, queued or by registers (VT-d 6.5.1, 6.5.2). */
import type { Random } from '../conformance/vtd/unit.ts';
import type { Configuration } from './configurations.ts';
import type { Op } from './script.ts';

export class Invalidations {
  /** Whether the queue is on: what is invalidated then is so by descriptors. */
  queued = false;
  private readonly random: Random;
  private readonly isScalable: boolean;
  private readonly isFirst: boolean;
  private readonly push: (op: Op) => void;

  constructor(random: Random, { mode }: Configuration['tables'], push: (op: Op) => void) {
    this.random = random;
    this.isScalable = mode !== 'legacy';
    this.isFirst = mode === 'first';
    this.push = push;
  }

  private reg(offset: number, size: 4 | 8, value: bigint): void {
    this.push({ op: 'reg', offset, size, value });
  }

  /** Pages of an input address in the IOTLB. @param am log2 of their number */
  page(did: number, base: bigint, am: number): void {
    const { random } = this;
    // What first-stage tables ask for; of other ones nothing goes.
    if (this.isScalable && random.chance(this.isFirst ? 85 : 10)) return this.pasidPage(did, base, am);
    const address = random.chance(50) ? base : (base >> BigInt(12 + am)) << BigInt(12 + am);
    const [ih, drain] = [random.below(2), random.below(4)];
    const low = BigInt(am) | (BigInt(ih) << 6n);
    if (this.queued) {
      this.push({ op: 'inv', lo: 0x32n | (BigInt(drain) << 6n) | (BigInt(did) << 16n), hi: address | low });
    } else {
      this.reg(0xf0, 8, address | low);
      this.reg(0xf8, 8, (1n << 63n) | (3n << 60n) | (BigInt(drain) << 48n) | (BigInt(did) << 32n));
    }
  }

  /** 6.5.2.4. */
  private pasidPage(did: number, base: bigint, am: number): void {
    const { random } = this;
    const address = random.chance(50) ? base : (base >> BigInt(12 + am)) << BigInt(12 + am);
    const lo = 0x36n | (BigInt(did) << 16n) | (BigInt(this.pasid()) << 32n);
    this.push({ op: 'inv', lo, hi: address | BigInt(am) | (random.big(1) << 6n) });
  }

  /** 6.5.2.2. @param granularity see PASID_GRANULARITY */
  pasids(granularity: number, did: number): void {
    const lo = 7n | (BigInt(granularity) << 4n) | (BigInt(did) << 16n);
    this.push({ op: 'inv', lo, hi: 0n });
  }

  /** That of the requests, seldom another. */
  private pasid(): number {
    const { random } = this;
    return random.chance(15) ? 1 << random.below(20) : 0;
  }

  domain(did: number): void {
    if (this.isScalable && this.random.chance(50)) {
      const lo = 0x26n | (BigInt(did) << 16n) | (BigInt(this.pasid()) << 32n);
      return this.push({ op: 'inv', lo, hi: 0n });
    }
    if (this.queued) this.push({ op: 'inv', lo: 0x22n | (BigInt(did) << 16n), hi: 0n });
    else this.reg(0xf8, 8, (1n << 63n) | (2n << 60n) | (BigInt(did) << 32n));
  }

  /** 6.5.2.5, 6.5.2.6: what a device has cached of 2^n pages. @param sid that of the device, or any */
  deviceTlb(sid: number, base: bigint): void {
    const { random } = this;
    const pages = random.chance(50) ? 0 : random.below(20);
    // S, with ones below the highest bit that is left out.
    const low = pages === 0 ? 0n : ((1n << BigInt(pages - 1)) - 1n) << 12n;
    const address = pages === 0 ? base : ((base >> BigInt(12 + pages)) << BigInt(12 + pages)) | low;
    const [mip, s] = [random.big(5), pages === 0 ? 0n : 1n];
    let op: Op = {
      op: 'inv',
      lo: 3n | (mip << 16n) | (BigInt(sid) << 32n),
      hi: BigInt.asUintN(64, address) | s,
    };
    if (this.isScalable && random.chance(50)) {
      const lo = 8n | (mip << 4n) | (BigInt(sid) << 16n) | (BigInt(this.pasid()) << 32n);
      op = { op: 'inv', lo, hi: BigInt.asUintN(64, address) | (s << 11n) | random.big(1) };
    }
    this.push(op);
  }

  all(): void {
    if (this.queued) this.push({ op: 'inv', lo: 0x12n, hi: 0n });
    else this.reg(0xf8, 8, (1n << 63n) | (1n << 60n));
  }

  /** @param granularity 1 global, 2 domain, 3 device. @param fm which bits of the function are left out */
  context(granularity: number, fm: number, sid: number, did: number): void {
    const selectors = (BigInt(fm) << 32n) | (BigInt(sid) << 16n) | BigInt(did);
    if (this.queued) this.push({ op: 'inv', lo: 1n | (BigInt(granularity) << 4n) | (selectors << 16n), hi: 0n });
    else this.reg(0x28, 8, (1n << 63n) | (BigInt(granularity) << 61n) | selectors);
  }
}
