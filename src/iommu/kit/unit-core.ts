/** What the parts of a unit of any model share: what it is built into, its registers, its words that are in no register, and how it tells of what it does. */
import type { Arena, Dma, EventLog, Memory, Region, Rule, Rules } from '../../machine/index.ts';
import { PHASE, SLOT } from '../../machine/index.ts';
import { RegisterFile } from './register-file.ts';

/** What a unit is built into. `dma` is absent in plain emulation, where every request is translated at once. */
export interface UnitParts {
  readonly arena: Arena;
  /** What walks read. */
  readonly tables: Memory;
  /** Where queues are read, and written. */
  readonly memory: Memory;
  readonly dma?: Dma;
  readonly log?: EventLog;
  readonly rules?: Rules;
}

/** Offsets of words by their names, in a region that has them in this order. */
export function offsetsOf<Name extends string>(names: readonly Name[]): Readonly<Record<Name, number>> {
  return Object.fromEntries(names.map((name, i) => [name, i])) as Record<Name, number>;
}

/** A unit's own state, besides caches and queues. */
export interface UnitState {
  /** Prefix of its regions. */
  readonly prefix: string;
  /** Bytes of the register file. */
  readonly registerBytes: number;
  /** Declarations. */
  readonly registers: readonly object[];
  /** Names of words that are in no register. */
  readonly internal: readonly string[];
}

/** Decisions that a model leaves to hardware, by a name of its own; every model has this one. */
type RuleTable<Name extends string> = Readonly<Record<Name | 'overtakes', Rule>>;

export abstract class UnitCore<RuleName extends string> {
  readonly arena: Arena;
  readonly memory: Memory;
  readonly tables: Memory;
  readonly dma: Dma | null;
  readonly regs: RegisterFile;
  /** Words of the unit's state that are in no register; see {@link offsetsOf}. */
  readonly internal: Region;
  private readonly log: EventLog | null;
  private readonly rules: Rules | null;
  private readonly table: RuleTable<RuleName>;
  /** Indexes of rules that can fire; −1 for the others. */
  private readonly rule: Record<string, number> = {};

  constructor(parts: UnitParts, table: RuleTable<RuleName>, state: UnitState) {
    this.arena = parts.arena;
    this.memory = parts.memory;
    this.tables = parts.tables;
    this.dma = parts.dma ?? null;
    this.log = parts.log ?? null;
    this.rules = parts.rules ?? null;
    this.table = table;
    this.regs = new RegisterFile(parts.arena, `${state.prefix}.regs`, state.registerBytes, state.registers);
    this.internal = parts.arena.region(`${state.prefix}.internal`, state.internal);
  }

  /** Declares the rules that this unit can fire, when it is known which they are. */
  protected declareRules(isUsable: (name: RuleName, rule: Rule) => boolean): void {
    for (const [name, rule] of Object.entries(this.table) as [RuleName, Rule][])
      this.rule[name] = isUsable(name, rule) && this.rules !== null ? this.rules.declare(rule) : -1;
  }

  /** A rule that is there from when it can fire: where it cannot, nobody misses it. */
  protected declareLate(name: RuleName): void {
    if (this.rules !== null && this.rule[name] < 0) this.rule[name] = this.rules.declare(this.table[name]);
  }

  /** A decision was taken. Counted where it is one of this unit's. */
  fire(name: RuleName | 'overtakes'): void {
    if (this.rules !== null && this.rule[name] >= 0) this.rules.fire(this.rule[name]);
  }

  /** A line of the story. */
  say(text: string): void {
    this.log?.say('iommu', text);
  }

  get telling(): boolean {
    return this.log?.on === true;
  }

  /** Whether there is anybody to {@link say} things to, or who counts the rules that {@link fire}. */
  get observed(): boolean {
    return this.log !== null || this.rules !== null;
  }

  /** @param word of {@link internal} */
  getInternal(word: number): number {
    return this.arena.words[this.internal.base + word];
  }

  setInternal(word: number, value: number): void {
    this.arena.set(this.internal.base + word, value);
  }

  /** Whether a request in flight is of a device behind this unit. @param slot of {@link dma} */
  abstract isMine(slot: number): boolean;

  /** What waits for invalidations completes: notes each translated request in flight that it did not have to wait for. */
  noteOvertaken(): void {
    const { dma } = this;
    if (dma === null) return;
    for (let i = 0; i < dma.slots; i++) {
      const slot = dma.at(i);
      if (dma.get(slot, SLOT.phase) === PHASE.translated && this.isMine(slot)) this.fire('overtakes');
    }
  }
}
