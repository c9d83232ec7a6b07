/** What a run compared, and which part of it deviations explained: of everything, and of each field. */

/** What a deviation says of how much it may explain. */
interface Explains {
  readonly name: string;
  readonly most?: number;
}

/** Of the comparisons, at most this part may be exempted: of all, and of each field by one deviation. */
export const MOST_EXEMPT = 0.01;
/** So many exemptions of one field tell nothing. */
const FEW = 5;
/** Standard deviations of a count by which it may be above its part of the comparisons: little runs vary. */
const SPREAD = 3;

export class Tally {
  /** DMA requests of devices whose outcome was compared. */
  translations = 0;
  /** Interrupts of devices that were. */
  interrupts = 0;
  /** Values that were compared, by field. */
  readonly compared = new Map<string, number>();
  /** Those that differed and were explained: by deviation, by field. */
  readonly exempted = new Map<string, Map<string, number>>();

  compare(field: string, count = 1): void {
    this.compared.set(field, (this.compared.get(field) ?? 0) + count);
  }

  exempt(deviation: string, field: string, count = 1): void {
    const fields = this.exempted.get(deviation) ?? new Map<string, number>();
    this.exempted.set(deviation, fields);
    fields.set(field, (fields.get(field) ?? 0) + count);
  }

  add(other: Tally): void {
    this.translations += other.translations;
    this.interrupts += other.interrupts;
    for (const [field, count] of other.compared) this.compare(field, count);
    for (const [deviation, fields] of other.exempted) {
      for (const [field, count] of fields) this.exempt(deviation, field, count);
    }
  }

  get comparisons(): number {
    return sum(this.compared.values());
  }

  /** How often a deviation was met. */
  met(deviation: string): number {
    return sum(this.exempted.get(deviation)?.values() ?? []);
  }

  get exemptions(): number {
    return sum([...this.exempted.keys()].map((name) => this.met(name)));
  }

  /** Of all comparisons the part that was exempted; 1 where nothing was compared. */
  get part(): number {
    const { comparisons } = this;
    return comparisons === 0 ? 1 : this.exemptions / comparisons;
  }

  /**
   * What is wrong with a run that compared this: nothing was compared, too much was exempted, or one deviation explains too much of a field.
   * @returns a line each; none for a run that counts
   */
  faults(deviations: readonly Explains[]): string[] {
    const found: string[] = [];
    if (this.translations === 0 || this.comparisons === 0) found.push('nothing was compared');
    else if (this.part > MOST_EXEMPT)
      found.push(`${percent(this.part)} of the comparisons were exempted, more than ${percent(MOST_EXEMPT)}`);
    for (const { name, most = MOST_EXEMPT } of deviations) {
      for (const [field, count] of this.exempted.get(name) ?? []) {
        const compared = this.compared.get(field) ?? 0;
        const permitted = most * compared;
        if (count > FEW && count > permitted + SPREAD * Math.sqrt(permitted))
          found.push(
            `${name} explains ${percent(count / compared)} of the comparisons of ${field}, more than ${percent(most)}`,
          );
      }
    }
    return found;
  }
}

export function percent(part: number): string {
  return `${(100 * part).toFixed(2)} %`;
}

function sum(of: Iterable<number>): number {
  let all = 0;
  for (const each of of) all += each;
  return all;
}
