/** A free decision that an architecture leaves to hardware, named, with the clause that permits it. */
export interface Rule {
  readonly id: string;
  readonly clause: string;
  readonly text: string;
}

/**
 * The rules that the machine's hardware may use under its profile, and how often each fired. A case that holds because
 * nothing happened is a failure, so rules that never fired are reported.
 */
export class Rules {
  readonly list: Rule[] = [];
  /** How often each fired, by index in {@link list}. */
  readonly fired: number[] = [];

  /** Declares a rule, or names one that is there: two units of a model share their rules. @returns the rule's index, for {@link fire} */
  declare(rule: Rule): number {
    const known = this.list.findIndex(({ id }) => id === rule.id);
    if (known >= 0) return known;
    this.fired.push(0);
    return this.list.push(rule) - 1;
  }

  fire(index: number): void {
    this.fired[index]++;
  }
}
