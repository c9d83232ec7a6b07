/** An input that is an ACPI table is no text: its bytes are kept together. */
import { isTable } from '../../decode/index.ts';

export class TableInput {
  private pieces: Uint8Array[] | null = null;
  private begun = false;

  /** @returns whether the piece is of a table, which the first one tells */
  take(piece: Uint8Array): boolean {
    if (!this.begun && isTable(piece)) this.pieces = [];
    this.begun = true;
    this.pieces?.push(piece);
    return this.pieces !== null;
  }

  /** The table; null where the input was none. */
  whole(): Uint8Array | null {
    return this.pieces === null ? null : Buffer.concat(this.pieces);
  }
}
