/** Names of tasks, each as a small number: found by the characters where they stand in the trace, so that no event makes a string. */

/** Tasks that are told apart. */
const MAX = 4096;
const BUCKETS = 2 * MAX;

/** The number of tasks beyond {@link MAX}, and of events without one. */
export const OTHERS = 0;

export class Makers {
  private readonly names: string[] = ['other tasks'];
  private readonly buckets = new Int16Array(BUCKETS);

  name(id: number): string {
    return this.names[id];
  }

  /** The number of a name; -1 where it is not known. */
  find(name: string): number {
    return this.names.indexOf(name, 1);
  }

  /** The number of the name at `from` … `to` of a text; the same for the same name. */
  intern(text: string, from: number, to: number): number {
    if (to <= from) return OTHERS;
    let hash = 0;
    for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
    let at = (hash ^ (hash >>> 15)) & (BUCKETS - 1);
    for (; this.buckets[at] !== 0; at = (at + 1) & (BUCKETS - 1)) {
      const id = this.buckets[at];
      if (equals(this.names[id], text, from, to)) return id;
    }
    if (this.names.length >= MAX) return OTHERS;
    // A part of a text keeps the whole text in memory; this does not.
    this.names.push(Array.from(text.slice(from, to)).join(''));
    this.buckets[at] = this.names.length - 1;
    return this.names.length - 1;
  }
}

function equals(name: string, text: string, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== text.charCodeAt(from + i)) return false;
  return true;
}
