import { describe, expect, test } from 'vitest';
import type { Instance } from '../explore/index.ts';
import { breaks, replay } from '../explore/index.ts';
import type { VtdProfile } from '../iommu/vtd/index.ts';
import { PROFILES } from '../iommu/vtd/index.ts';
import type { Case } from './define.ts';
import { expectedOf } from './define.ts';
import type { InvariantId } from './invariants.ts';
import { INVARIANTS } from './invariants.ts';
import { MODELS } from './models.ts';
import { CASES } from './registry.ts';
import type { Broken } from './run.ts';
import { CaseRun, verdictOf } from './run.ts';

const SPEC = PROFILES[0];

function caseOf(id: string): Case {
  const found = CASES.find((c) => c.id === id);
  if (found === undefined) throw new Error(`no case ${id}`);
  return found;
}

/** The lines of the shortest story of a variant. */
function story(id: string, variant: string, profile: VtdProfile = SPEC): string[] {
  const run = new CaseRun(caseOf(id), variant, profile);
  const { broken } = run.finish();
  return replay(run.fresh(), broken[0].run).steps.flatMap((step) => step.lines.map((line) => line.text));
}

/** Whether somebody waits at the end of a run, and nothing can happen any more or all comes round again. */
function endsNowhere(instance: Instance, run: Broken['run']): boolean {
  const { recurs } = replay(instance, run);
  return instance.hasWaiting() && (recurs >= 0 || instance.agents.every((agent) => agent.choices() === 0));
}

test('a case and a variant name one definition', () => {
  const names = CASES.flatMap(({ id, variants }) => Object.keys(variants).map((variant) => `${id} ${variant}`));
  expect(names).toEqual([...new Set(names)]);
});

for (const definition of CASES) {
  const { profiles } = MODELS[definition.model];
  const [spec] = profiles;
  describe(`${definition.id} (${definition.model})`, () => {
    for (const variant of Object.keys(definition.variants)) {
      for (const profile of profiles) {
        const expected = expectedOf(definition, variant, profile.name);
        test(`${variant} under ${profile.name}: ${expected}`, () => {
          const run = new CaseRun(definition, variant, profile);
          const outcome = run.finish();
          expect(outcome.verdict).toBe(expected);
          if (expected === 'holds' || expected === 'undefined') {
            expect(outcome.exhausted).toBe(true);
            expect(outcome.expectedCollisions).toBeLessThan(1e-6);
            if (profile === spec)
              expect(outcome.unfiredRules.filter((rule) => definition.unfired?.[rule] === undefined)).toEqual([]);
          }
          for (const { invariant, run: steps } of outcome.broken) {
            if (invariant.id === 'I9') expect(endsNowhere(run.fresh(), steps)).toBe(true);
            else expect(breaks(run.fresh(), steps, invariant)).toBe(true);
          }
        });
      }

      test(`${variant}: the verdict does not depend on atomic blocks and joined reads`, () => {
        const whole = new CaseRun(definition, variant, spec).finish();
        const split = new CaseRun(definition, variant, spec, { split: true }).finish();
        expect(split.states).toBeGreaterThanOrEqual(whole.states);
        expect(split.broken.map((b) => b.invariant.id).sort()).toEqual(whole.broken.map((b) => b.invariant.id).sort());
      });
    }

    for (const variant of Object.keys(definition.variants)) {
      if (!['holds', 'undefined'].includes(expectedOf(definition, variant, 'spec'))) continue;
      const mutants = Object.entries(definition.mutants ?? {}).filter(([, mutant]) => mutant.variant === variant);
      test(`${variant} has a mutant`, () => expect(mutants.length).toBeGreaterThan(0));
      for (const [name, { title }] of mutants) {
        test(`${variant} with ${name} is violated: ${title}`, () => {
          expect(new CaseRun(definition, variant, spec, { mutant: name }).finish().verdict).toBe('violated');
        });
      }
    }
  });
}

describe('stories', () => {
  test('D1: the shortest ones are races in mid-walk of at most 30 steps', () => {
    for (const variant of ['linux-5.11', 'linux-5.13', 'linux-6.12.117']) {
      const { broken } = new CaseRun(caseOf('D1'), variant, SPEC).finish();
      expect(broken[0].invariant.id).toBe('I2');
      expect(broken[0].run.length).toBeLessThanOrEqual(30);
      const lines = story('D1', variant);
      const freed = lines.findIndex((line) => line.startsWith('frees PT'));
      expect(freed).toBeGreaterThan(lines.findIndex((line) => line.startsWith('reads PDE 0x1a30a72003')));
      expect(lines.findIndex((line) => line.includes('which is free now'))).toBeGreaterThan(freed);
    }
  });

  test('D1: the walk reads like the report', () => {
    const text = story('D1', 'linux-5.11').join('\n');
    for (const entry of ['PML4E 0x19db5c1003', 'PDPE 0x1a1cacb003', 'PDE 0x1a30a72003', 'PTE[0] = 0x21d200803']) {
      expect(text).toContain(entry);
    }
  });

  test('vtd-merge-psc: the PDE survives IH=1, the table is freed, the walk goes through it', () => {
    const { broken } = new CaseRun(caseOf('vtd-merge-psc'), 'buggy', SPEC).finish();
    expect(broken.map((b) => b.invariant.id)).toEqual(['I4', 'I2']);
    expect(broken[0].run.length).toBeLessThanOrEqual(40);
    const lines = story('vtd-merge-psc', 'buggy');
    const order = [
      'PDE[0] = 0x1a30a72003',
      'IH=1, DR=0 DW=1)',
      'keeps PDE cache: DID 1, IOVA 0x0 -> table 0x1a30a72000',
      'clears PDE[0]',
      'frees PT (0x1a30a72000)',
      'PDE[0] = 0x21d200883',
      'PDE cache hit: the walk goes on at table 0x1a30a72000',
      'the walk reads PT (0x1a30a72000), which is free now',
      'fault addr 0x0 [fault reason 0x06]',
    ].map((part) => lines.findLastIndex((line) => line.includes(part)));
    expect(order).not.toContain(-1);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  test('A1: the write lands after the page has its new owner', () => {
    const lines = story('A1', 'queue/no-drain');
    const taken = lines.findIndex((line) => line.includes('allocates P'));
    const landed = lines.findIndex((line) => line.includes('lands in P (0x21d201000, owner: another process)'));
    expect(taken).toBeGreaterThan(lines.findIndex((line) => line.startsWith('frees P')));
    expect(landed).toBeGreaterThan(taken);
  });

  test('A7: without a drain, a read-back pushes a translated write, and leaves a translated read', () => {
    const lines = story('A7', 'read/read-back');
    const order = [
      'DR=0 DW=0',
      'reads a register of nic [02:00.0]: its posted writes are visible',
      'frees P (0x21d201000)',
      'allocates P (0x21d201000) for another process',
      'nic gets data of P (0x21d201000, owner: another process)',
    ].map((part) => lines.findLastIndex((line) => line.includes(part)));
    expect(order).not.toContain(-1);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  test('A7: a read-back before the invalidation misses a write that is sent after it', () => {
    const lines = story('A7', 'write/read-back-first');
    const read = lines.findIndex((line) => line.includes('reads a register of nic'));
    expect(read).toBeGreaterThanOrEqual(0);
    expect(lines.findLastIndex((line) => line.includes('DMA write 0x1000'))).toBeGreaterThan(read);
    expect(
      lines.findLastIndex((line) => line.includes('lands in P (0x21d201000, owner: another process)')),
    ).toBeGreaterThan(read);
  });

  test('A1 under qemu-10: drain is asked for and advertised, and nothing is drained', () => {
    const lines = story('A1', 'queue/drain', PROFILES[1]);
    expect(lines.some((line) => line.includes('DR=1 DW=1'))).toBe(true);
    expect(lines.some((line) => line.includes('owner: another process'))).toBe(true);
  });

  test('vtd-syncmap-race: the flag is read before it is set, and nothing is flushed behind the PTE', () => {
    const lines = story('vtd-syncmap-race', 'buggy');
    const order = [
      'the write buffers are flushed',
      'PTE[1] = 0x21d201803',
      'iotlb_sync_map is 0: nothing to flush',
      'iotlb_sync_map = 1',
      'DMA read 0x1000',
      'reads PDE 0x0',
    ].map((part) => lines.findIndex((line) => line.includes(part)));
    expect(order).not.toContain(-1);
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(lines.filter((line) => line.includes('the write buffers are flushed'))).toHaveLength(1);
  });

  test('vtd-syncmap-race: with the flag right, 6.17 finds no unit on the list; in caching mode a cached fault stays', () => {
    expect(story('vtd-syncmap-race', 'linux-6.17')).toContain('no unit is on the list of the domain: nothing to flush');
    const lines = story('vtd-syncmap-race', 'linux-6.17/caching-mode');
    expect(lines).toContain('no unit is on the list of the domain: nothing to flush');
    expect(lines.at(-2)).toBe('a cached fault refuses it: the tables are not read (DID 1)');
  });

  test('D4: a split with a break in between is a hole for a device; a fault handler waits it out', () => {
    const lines = story('D4', 'bbm/no-fault');
    const cleared = lines.findIndex((line) => line.startsWith('clears PDE[0]'));
    expect(cleared).toBeGreaterThanOrEqual(0);
    expect(lines.findIndex((line) => line.startsWith('reads PDE 0x0'))).toBeGreaterThan(cleared);
    const handled = new CaseRun(caseOf('D4'), 'cpu-bbm/fault', SPEC).instance.machine;
    expect(handled.actors.map((actor) => actor.name)).toEqual(['driver', 'thread on cpu1']);
  });

  test('D4: a swap is undefined where a request finds translations of both sizes, and nothing else is wrong', () => {
    const { verdict, broken, exhausted } = new CaseRun(caseOf('D4'), 'swap/no-fault', SPEC).finish();
    expect([verdict, broken.map((b) => b.invariant.id), exhausted]).toEqual(['undefined', ['OPEN'], true]);
    expect(broken[0].invariant.clause).toContain('6.2.4.1');
    const lines = story('D4', 'swap/no-fault');
    expect(lines.some((line) => line.startsWith('clears'))).toBe(false);
    expect(lines.at(-2)).toBe('the IOTLB has translations of two page sizes: any may be used');
  });
});

describe('verdicts', () => {
  const found = (...ids: InvariantId[]) =>
    ids.map((id) => ({ invariant: INVARIANTS[id], run: [], blocks: 0, shortest: true }));

  test('what is left open is told only where nothing breaks and every run was seen', () => {
    expect(verdictOf(found(), true)).toBe('holds');
    expect(verdictOf(found(), false)).toBe('bounded');
    expect(verdictOf(found('OPEN'), true)).toBe('undefined');
    expect(verdictOf(found('OPEN'), false)).toBe('bounded');
    expect(verdictOf(found('I4', 'OPEN'), true)).toBe('violated');
    expect(verdictOf(found('I4'), false)).toBe('violated');
  });
});
