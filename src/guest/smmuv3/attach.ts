/**
 * A device goes from one domain to another while others use both (`arm_smmu_attach_prepare`, `arm_smmu_attach_commit`), as far as its ATC is concerned: who
 * is told of invalidations.
 */
import type { Machine, Program, SoftwareWord } from '../../machine/index.ts';
import { atomic } from '../../machine/index.ts';
import type { AtcOwners } from './invalidation.ts';
import type { SmmuDriverVersion } from './versions.ts';

/** A device of the driver (`struct arm_smmu_master`). */
export class Master {
  readonly sid: number;
  readonly name: string;
  /** It has ATS on (`ats_enabled`). */
  readonly ats: SoftwareWord;

  constructor(machine: Machine, name: string, sid: number, ats: boolean) {
    this.sid = sid;
    this.name = name;
    this.ats = machine.word(`ats_enabled of ${name}`, ats ? 1 : 0);
  }
}

/** Who is in a domain: the list (`devices`), and how many of them have ATS on (`nr_ats_masters`). */
export class DomainMasters implements AtcOwners {
  readonly counter: SoftwareWord;
  private readonly listed: readonly { readonly master: Master; readonly on: SoftwareWord }[];

  /** @param masters all that may ever be in it. @param members those that are */
  constructor(machine: Machine, name: string, masters: readonly Master[], members: readonly Master[]) {
    this.listed = masters.map((master) => ({
      master,
      on: machine.word(`${master.name} is in ${name}`, members.includes(master) ? 1 : 0),
    }));
    const count = members.filter((master) => master.ats.value === 1).length;
    this.counter = machine.word(`nr_ats_masters of ${name}`, count);
  }

  /** The counter is looked at first: nobody with ATS, nothing to invalidate (`arm_smmu_atc_inv_domain`). */
  *streams(): Program<readonly number[]> {
    const { counter, listed } = this;
    // Up to as many as there are devices, and less than none where it was miscounted.
    const count = yield* counter.get([-1, 0, 1, 2, 3]);
    if (count === 0) return [];
    const found: number[] = [];
    yield* atomic(function* () {
      for (const { master, on } of listed) {
        const here = yield* on.get([0, 1]);
        const ats = yield* master.ats.get([0, 1]);
        if (here === 1 && ats === 1) found.push(master.sid);
      }
    });
    return found;
  }

  /** Puts a device on the list, counted with ATS or without (`arm_smmu_attach_prepare`). */
  *add(master: Master, ats: boolean): Program {
    const { counter } = this;
    const on = this.entry(master);
    yield* atomic(function* () {
      yield* on.set(1);
      if (ats) yield* counter.set((yield* counter.getOwn()) + 1);
    });
  }

  /** Takes it off, and counts it out where it has ATS on at this moment (`arm_smmu_remove_master_domain`). */
  *remove(master: Master): Program {
    const { counter } = this;
    const on = this.entry(master);
    yield* atomic(function* () {
      yield* on.set(0);
      if ((yield* master.ats.getOwn()) === 1) yield* counter.set((yield* counter.getOwn()) - 1);
    });
  }

  private entry(master: Master): SoftwareWord {
    const entry = this.listed.find((one) => one.master === master);
    if (entry === undefined) throw new Error(`${master.name} is none of the devices of this domain`);
    return entry.on;
  }
}

/** @param install writes the STE, in between. @param ats whether it has ATS on in the new domain */
export function* moveMaster(
  version: SmmuDriverVersion,
  master: Master,
  { from, to, ats }: { readonly from: DomainMasters; readonly to: DomainMasters; readonly ats: boolean },
  install: () => Program,
): Program {
  yield* to.add(master, ats);
  yield* install();
  const enabled = ats ? 1 : 0;
  if (version.atsEnabledSet === 'before-removal') yield* master.ats.set(enabled);
  yield* from.remove(master);
  if (version.atsEnabledSet === 'after-removal') yield* master.ats.set(enabled);
}
