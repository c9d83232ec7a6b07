/**
 * A second interrupt remapper, written plainly from the specification (revision 5.10) as a peer of the model: one function, whole words,
 * no cache. It shares nothing with the model, not even the positions of bits.
 */

export interface InterruptReference {
  /** IRES, CFIS. */
  readonly enabled: boolean;
  readonly compatibility: boolean;
  /** IRTA_REG as SIRTP took it. */
  readonly irta: bigint;
  /** Host addresses have this many bits. */
  readonly haw: number;
  /** ECAP.EIMER, ECAP.IRREQ. */
  readonly extendedRequired: boolean;
  readonly remappingRequired: boolean;
  /** A 64-bit word, null where nothing answers. */
  readonly read: (address: bigint) => bigint | null;
}

export type InterruptResult =
  | { readonly fault: number; readonly recorded: boolean; readonly index: number | null }
  | { readonly address: bigint; readonly data: number };

/** Bits `from` to `to` of a word. */
function bits(word: bigint, from: number, to: number): number {
  return Number((word >> BigInt(from)) & ((1n << BigInt(to - from + 1)) - 1n));
}

/** Compares two source ids from a bit on, and the bits in `also`. */
function sameId(a: number, b: number, also: readonly number[]): boolean {
  const bit = (id: number, n: number) => Math.floor(id / 2 ** n) % 2;
  for (let n = 3; n < 16; n++) if (bit(a, n) !== bit(b, n)) return false;
  return also.every((n) => bit(a, n) === bit(b, n));
}

/** A DWORD write of `data` to `address`, in 0xFEEx_xxxx, by `sid`. */
export function remapInterrupt(unit: InterruptReference, sid: number, address: bigint, data: number): InterruptResult {
  const blocked = (fault: number): InterruptResult => ({ fault, recorded: true, index: null });
  const asItIs = { address, data };
  if (!unit.enabled) return unit.remappingRequired ? blocked(0x2b) : asItIs;
  const x2apic = bits(unit.irta, 11, 11) === 1;
  if (unit.extendedRequired && !x2apic) return blocked(0x2a);
  if (bits(address, 4, 4) === 0) return x2apic || !unit.compatibility ? blocked(0x25) : asItIs;

  const word = BigInt(data);
  const handle = bits(address, 5, 19) + 0x8000 * bits(address, 2, 2);
  const shv = bits(address, 3, 3) === 1;
  if (shv && bits(word, 16, 31) !== 0) return blocked(0x20);
  const index = shv ? handle + bits(word, 0, 15) : handle;
  const faultOf = (fault: number, fpd: boolean): InterruptResult => ({ fault, recorded: !fpd, index: index % 0x10000 });
  if (index > 2 ** (bits(unit.irta, 0, 3) + 1) - 1) return faultOf(0x21, false);
  const at = (unit.irta / 4096n) * 4096n + BigInt(16 * index);
  if (at >= 2n ** BigInt(unit.haw)) return faultOf(0x21, false);
  const [low, high] = [unit.read(at), unit.read(at + 8n)];
  if (low === null || high === null) return faultOf(0x23, false);

  const fpd = bits(low, 1, 1) === 1;
  if (bits(low, 0, 0) === 0) return faultOf(0x22, fpd);

  const [owner, sq, svt] = [bits(high, 0, 15), bits(high, 16, 17), bits(high, 18, 19)];
  if (svt === 1) {
    const compared = [[0, 1, 2], [0, 1], [0], []][sq] as number[];
    if (!sameId(owner, sid, compared)) return faultOf(0x26, fpd);
  }
  if (svt === 2) {
    const bus = Math.floor(sid / 256);
    if (bus < Math.floor(owner / 256) || bus > owner % 256) return faultOf(0x26, fpd);
  }

  const mode = bits(low, 5, 7);
  const destination = bits(low, 32, 63);
  const apic = x2apic ? destination : Math.floor(destination / 256) % 256;
  if (bits(low, 12, 14) !== 0 || bits(low, 24, 31) !== 0 || high >= 2n ** 20n) return faultOf(0x24, fpd);
  if (bits(low, 15, 15) === 1 || svt === 3 || mode === 3 || mode === 6) return faultOf(0x24, fpd);
  if (!x2apic && destination !== 256 * apic) return faultOf(0x24, fpd);

  return {
    address:
      2n ** 32n * BigInt(apic - (apic % 256)) +
      0xfee00000n +
      4096n * BigInt(apic % 256) +
      8n * BigInt(bits(low, 3, 3)) +
      4n * BigInt(bits(low, 2, 2)),
    data: bits(low, 16, 23) + 256 * mode + 0x4000 + 0x8000 * bits(low, 4, 4),
  };
}
