/**
 * A CPU that walks the tables of a domain itself, and the fault handler of its kernel. Second-stage entries with R = W = 1 read as supervisor
 * entries of x86 paging (P, R/W, PS and the frame have the same bits; Intel SDM 3A 4.5). The upper tables never change in these
 * cases, so its walk begins at the PDE.
 */
import { hex } from '../bits/index.ts';
import type { Cpu, Machine, Program, SoftwareWord } from '../machine/index.ts';
import { FACT } from '../machine/index.ts';

const P = 1n;
const PS = 1n << 7n;
const FRAME = 0xffffffffff000n;

/** What the TLB has for the one page that the thread uses. */
const TLB = { empty: 0, small: 1, large: 2 } as const;

export class CpuMmu {
  private readonly machine: Machine;
  private readonly cpu: Cpu;
  private readonly pde: bigint;
  private readonly tlb: SoftwareWord;
  /** An instruction is being executed; interrupts are taken between instructions. */
  private readonly executing: SoftwareWord;

  /** @param pde byte address of the PDE of address 0 */
  constructor(machine: Machine, cpu: Cpu, pde: bigint) {
    this.machine = machine;
    this.cpu = cpu;
    this.pde = pde;
    this.tlb = machine.word(`${cpu.name}.tlb`, TLB.empty);
    this.executing = machine.word(`${cpu.name} executes`);
  }

  /** A load of address 0. @param frame byte address of what is mapped there. @returns 1, or 0 for a page fault */
  *load(frame: bigint): Program<number> {
    const { machine, cpu, tlb } = this;
    const hit = yield {
      name: `${cpu.name} looks into its TLB`,
      choices: 2,
      returns: 'number',
      results: [0, 1],
      // It may have been evicted before.
      run: (choice) => {
        this.executing.value = 1;
        if (choice === 1) tlb.value = TLB.empty;
        if (tlb.value !== TLB.empty) this.executing.value = 0;
        this.say(tlb.value === TLB.empty ? 'loads from 0x0: no TLB entry' : 'loads from 0x0: TLB hit');
        return tlb.value === TLB.empty ? 0 : 1;
      },
    };
    if (hit === 1) return 1;
    const entry = yield* cpu.read64(this.pde);
    yield* machine.note(`reads PDE ${hex(entry)}`);
    if ((entry & P) === 0n) return yield* this.faults();
    if ((entry & PS) !== 0n) return yield* this.completes(entry & FRAME, TLB.large, frame);
    const leaf = yield* cpu.read64(entry & FRAME);
    yield* machine.note(`reads PTE ${hex(leaf)}`);
    if ((leaf & P) === 0n) return yield* this.faults();
    return yield* this.completes(leaf & FRAME, TLB.small, frame);
  }

  /** `invlpg`. */
  *invlpg(): Program {
    yield { name: `${this.cpu.name} invlpg`, run: () => this.drop('invlpg 0x0, and again') };
  }

  /** TLB shootdown by another CPU: the interrupt is taken between two instructions, and answered. */
  *shootdown(): Program {
    const name = `TLB shootdown of ${this.cpu.name}`;
    yield { name, ready: () => this.executing.value === 0, run: () => this.drop(name) };
  }

  private *faults(): Program<number> {
    yield* this.machine.note('page fault', 'after', () => {
      this.executing.value = 0;
    });
    return 0;
  }

  private *completes(reached: bigint, size: number, frame: bigint): Program<number> {
    yield* this.machine.note('the load completes', 'after', () => {
      this.tlb.value = size;
      this.executing.value = 0;
      if (reached !== frame) this.machine.facts.bits |= FACT.deniedInside;
    });
    return 1;
  }

  private drop(what: string): void {
    this.tlb.value = TLB.empty;
    this.say(what);
  }

  private say(text: string): void {
    if (this.machine.log.on) this.machine.log.say('driver', text);
  }
}
