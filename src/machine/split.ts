import { hex } from '../bits/index.ts';

/** What of a DMA lies in one page. */
export interface Piece {
  readonly iova: bigint;
  /** 64-bit words that it touches. */
  readonly words: number;
}

/** A DMA of `bytes` bytes as one piece a page: each page is translated by itself. @param most pieces that there is room for */
export function splitPages(iova: bigint, bytes: number, most: number): Piece[] {
  if (!Number.isSafeInteger(bytes) || bytes <= 0) throw new RangeError(`a DMA has no ${bytes} bytes`);
  const pieces: Piece[] = [];
  const end = iova + BigInt(bytes);
  for (let from = iova; from < end; from = ((from >> 12n) + 1n) << 12n) {
    if (pieces.length === most) {
      throw new RangeError(`${bytes} bytes at ${hex(iova)} take more than ${most} transactions; raise dmaSlots`);
    }
    const pageEnd = ((from >> 12n) + 1n) << 12n;
    const last = (end < pageEnd ? end : pageEnd) - 1n;
    pieces.push({ iova: from, words: Number((last >> 3n) - (from >> 3n)) + 1 });
  }
  return pieces;
}
