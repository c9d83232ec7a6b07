/** Equal devices in the explorer: what is whose, how two of them change places, and whether they are equal indeed. */
import type { Agent, Machine, Naming, Op, Tracker, TwinLayout } from '../machine/index.ts';
import type { ActorAgent } from './actor-agent.ts';
import { ProgramError } from './program-error.ts';

/** Steps that are all taken by both, then one of so many; and of each position of a program so many. */
const CHECKED = 100;
const CHECKED_OF = 64;
const CHECKED_AT = 4;

/** A name in the text of an operation, as a word. */
function wordsOf(name: string): RegExp {
  const literal = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(?<![\\w-])${literal}(?![\\w-])`, 'g');
}

/** The same text for all twins. Two texts of one device stay two: no name has the character that takes the name's place. */
export function withoutName(device: string): (text: string) => string {
  const words = wordsOf(device);
  return (text) => text.replace(words, '\0');
}

/** The twin whose program an actor is. @returns its index in `Dma.requesters`, −1 if it is none's */
export function deviceOf(machine: Machine, actor: number): number {
  for (const { actors, devices } of machine.twinGroups) {
    const i = actors.indexOf(actor);
    if (i >= 0) return devices[i];
  }
  return -1;
}

/** Whether an operation of an actor may be about a requester: a twin's are its own affair. */
export function mayName(machine: Machine, actor: number): (requester: number) => boolean {
  const others = new Set(machine.twinGroups.flatMap((group) => group.devices));
  others.delete(deviceOf(machine, actor));
  return (requester) => !others.has(requester);
}

interface Member {
  readonly group: number;
  readonly device: number;
  readonly actor: number;
  readonly own: readonly number[];
  readonly neutral: (text: string) => string;
}

export class Twins {
  readonly layout: TwinLayout;
  private readonly machine: Machine;
  private readonly actors: readonly ActorAgent[];
  private readonly members: Member[] = [];
  /** Members that follow each other in a group: all other changes of places are made of those. */
  private readonly pairs: (readonly [number, number])[] = [];

  /** @param keyOf offset of an actor's two words of the state */
  constructor(machine: Machine, actors: readonly ActorAgent[], keyOf: (actor: number) => number) {
    this.machine = machine;
    this.actors = actors;
    machine.twinGroups.forEach(({ devices, actors: numbers }, group) => {
      devices.forEach((device, i) => {
        const key = keyOf(numbers[i]);
        const own = [key, key + 1, ...promises(machine, device)];
        const neutral = withoutName(machine.dma.requesters[device].name);
        if (i > 0) this.pairs.push([this.members.length - 1, this.members.length]);
        this.members.push({ group, device, actor: numbers[i], own, neutral });
      });
    });
    this.findUnnamed();
    for (const [one, other] of this.pairs) this.compare(this.members[one], this.members[other]);
    this.layout = {
      groups: this.members.map((member) => member.group),
      own: this.members.map((member) => member.own),
      units: machine.dma.namings.map((naming) => ({
        naming,
        members: new Map(this.members.map((member, i) => [this.nameOf(naming, member), i])),
      })),
      fixed: this.fixed(),
    };
  }

  private nameOf(naming: Naming, { device }: Member): number {
    const requester = this.machine.dma.requesters[device];
    return naming.name?.(requester) ?? (naming.by === 'sid' ? requester.sid : device);
  }

  private refusal(one: Member, other: Member, what: string): ProgramError {
    const { requesters } = this.machine.dma;
    const name = requesters[other.device].name;
    return new ProgramError(name, null, `${name} and ${requesters[one.device].name} are no twins: ${what}`);
  }

  /** Words of memory by which hardware knows a member, both copies where there are two. */
  private configuration({ device }: Member): number[] {
    const { dma, configured, arena } = this.machine;
    const cells = arena.regions.find((region) => region.name === 'memory')?.fields.length ?? 0;
    const handles = configured.get(dma.requesters[device].sid) ?? [];
    return handles.flatMap((handle) => Array.from({ length: cells }, (_, i) => handle + i));
  }

  /** A word called `sid` that no naming tells of would make one state of two that are not. */
  private findUnnamed(): void {
    const { arena, dma } = this.machine;
    const [one, other] = this.members;
    const known = new Set(dma.namings.flatMap(({ base, by }) => (by === 'sid' ? [base] : [])));
    for (const { name, base, fields } of arena.regions) {
      if (!fields.includes('sid') || known.has(base)) continue;
      throw this.refusal(one, other, `nobody says that ${name} names devices; add it to dma.namings`);
    }
  }

  private fixed(): number[] {
    return this.members.flatMap((member) => this.configuration(member));
  }

  /** Members of one group have programs that differ in the name alone, and are the same to hardware. */
  private compare(one: Member, other: Member): void {
    const { words } = this.machine.arena;
    const [a, b] = [this.configuration(one), this.configuration(other)];
    const { requesters, translator } = this.machine.dma;
    if ((requesters[one.device].translator ?? translator) !== null && a.length === 0)
      throw this.refusal(one, other, 'nobody says by which words hardware knows them; call machine.configures()');
    if (a.length !== b.length || a.some((at, i) => words[at] !== words[b[i]]))
      throw this.refusal(one, other, 'what memory tells hardware of them differs; give them equal context entries');
    const [p, q] = [this.actors[one.actor].known, this.actors[other.actor].known];
    for (let i = 0; i < Math.max(p.length, q.length); i++) {
      const [x, y] = [p[i]?.op ?? null, q[i]?.op ?? null];
      const same = p[i]?.parent === q[i]?.parent && p[i]?.lo === q[i]?.lo;
      if (same && textOf(x, one.neutral) === textOf(y, other.neutral)) continue;
      const [was, is] = [x?.name ?? 'its end', y?.name ?? 'its end'];
      throw this.refusal(one, other, `'${is}' is where '${was}' is; give them one program, and no words of their own`);
    }
  }

  /** Two members change places. */
  private swap(i: number, j: number): void {
    const { arena } = this.machine;
    const [one, other] = [this.members[i], this.members[j]];
    const [first, second] = [this.actors[one.actor], this.actors[other.actor]];
    const [path, otherPath] = [first.way(), second.way()];
    first.follow(otherPath);
    second.follow(path);
    // Positions have set the keys; promises are left.
    for (let k = 2; k < one.own.length; k++) {
      const value = arena.words[one.own[k]];
      arena.set(one.own[k], arena.words[other.own[k]]);
      arena.set(other.own[k], value);
    }
    for (const { naming, members } of this.layout.units) {
      for (let u = 0; u < naming.units; u++) {
        const unit = naming.base + u * naming.length;
        if (naming.valid >= 0 && arena.words[unit + naming.valid] === 0) continue;
        const owner = members.get(arena.words[unit + naming.owner]);
        if (owner !== i && owner !== j) continue;
        const to = owner === i ? other : one;
        if (naming.rename !== undefined) naming.rename(unit, to.device);
        else arena.set(unit + naming.owner, this.nameOf(naming, to));
      }
    }
  }

  /** The agent that does, after the members have changed places, what `agent` does before. */
  private image(agent: number, i: number, j: number): number {
    if (agent === this.members[i].actor) return this.members[j].actor;
    return agent === this.members[j].actor ? this.members[i].actor : agent;
  }

  /**
   * Agents that now and then, before a step, try the same step where two twins have changed places: it must come to the same state, twins exchanged,
   * and show the same facts. What tells twins apart, and nobody declared, shows so.
   */
  watched(agents: readonly Agent[], tracker: Tracker): Agent[] {
    const actors = this.actors.length;
    return agents.map((agent, n) => {
      let steps = 0;
      const visits: number[] = [];
      const isDue = () => {
        const at = n < actors ? this.actors[n].node : 0;
        visits[at] = (visits[at] ?? 0) + 1;
        steps++;
        return steps <= CHECKED || steps % CHECKED_OF === 0 || (n < actors && visits[at] <= CHECKED_AT);
      };
      const watched: Agent = {
        name: agent.name,
        lane: agent.lane,
        choices: () => agent.choices(),
        step: (choice) => {
          if (tracker.journaling && !this.machine.log.on && isDue())
            for (const [i, j] of this.pairs) this.check(agents, tracker, { agent: n, choice }, i, j);
          agent.step(choice);
        },
      };
      if (agent.sparesSoftware !== undefined) Object.assign(watched, { sparesSoftware: agent.sparesSoftware });
      if (agent.isLocal !== undefined) Object.assign(watched, { isLocal: () => agent.isLocal?.() });
      return watched;
    });
  }

  private check(
    agents: readonly Agent[],
    tracker: Tracker,
    { agent, choice }: { agent: number; choice: number },
    i: number,
    j: number,
  ): void {
    const { facts } = this.machine;
    const { bits } = facts;
    const { fpA: hereA, fpB: hereB } = tracker;
    const mark = tracker.mark();
    const step = this.actors[agent]?.next() ?? agents[agent].name;
    const next = [this.nextOf(j), this.nextOf(i)];
    const ways = [this.choicesOf(j), this.choicesOf(i)];
    facts.bits = 0;
    agents[agent].step(choice);
    const { fpA, fpB } = tracker;
    const shown = facts.bits;
    tracker.undo(mark);
    this.swap(i, j);
    const image = agents[this.image(agent, i, j)];
    let same = tracker.fpA === hereA && tracker.fpB === hereB && image.choices() > choice;
    same &&= this.nextOf(i) === next[0] && this.nextOf(j) === next[1];
    // Where one waits, too: what it waits for may stand in what its guard has captured alone.
    same &&= this.choicesOf(i) === ways[0] && this.choicesOf(j) === ways[1];
    if (same) {
      facts.bits = 0;
      image.step(choice);
      same = tracker.fpA === fpA && tracker.fpB === fpB && facts.bits === shown;
    }
    tracker.undo(mark);
    facts.bits = bits;
    if (!same) throw this.refusal(this.members[i], this.members[j], `'${step}' tells them apart; declare no twins`);
  }

  /** In how many ways a member's program can go on now. */
  private choicesOf(member: number): number {
    return this.actors[this.members[member].actor].choices();
  }

  /** What a member's program goes on with, its name left out. */
  private nextOf(member: number): string | null {
    const { actor, neutral } = this.members[member];
    const next = this.actors[actor].next();
    return next === null ? null : neutral(next);
  }
}

/** What two programs must agree on, an operation. */
function textOf(op: Op | null, neutral: (text: string) => string): string {
  if (op === null) return '';
  const { name, join, bound, choices, returns, ready, results, touches } = op;
  return JSON.stringify([neutral(name), join, bound, choices, returns, ready !== undefined, results, touches]);
}

/** Offsets of what software promised of the device's targets, in the order of pages. */
function promises({ grants }: Machine, device: number): number[] {
  const own = grants.targets.flatMap((target, i) => (target.device === device ? [{ i, vpn: target.vpn }] : []));
  return own.sort((a, b) => a.vpn - b.vpn).flatMap(({ i }) => grants.wordsOf(i));
}
