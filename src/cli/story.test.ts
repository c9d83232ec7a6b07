import { describe, expect, test } from 'vitest';
import { CASES, CaseRun, profileNamed } from '../cases/index.ts';
import { walk } from './step.ts';
import { laneLines, PLAIN, tellStory } from './story.ts';

describe('steps in lanes', () => {
  test('a step is numbered once; bars stand for the lanes to the left of a line', () => {
    const steps = [
      {
        agent: 'driver',
        lane: 'driver' as const,
        lines: [
          { lane: 'driver' as const, text: 'one' },
          { lane: 'iommu' as const, text: 'two' },
          { lane: 'memory' as const, text: `a long line ${'that is not cut '.repeat(20)}`.trim() },
        ],
      },
      { agent: 'nic', lane: 'device' as const, lines: [{ lane: 'device' as const, text: 'three' }] },
      { agent: 'queue', lane: 'iommu' as const, lines: [] },
    ];
    expect(laneLines(steps, PLAIN)).toEqual([
      '      driver  device  IOMMU   memory',
      '   1  one',
      '      │       │       two',
      `      │       │       │       a long line ${'that is not cut '.repeat(20)}`.trimEnd(),
      '   2  │       three',
      '   3  │       │       (queue goes on)',
    ]);
  });

  test('where several actors fill the lane of the driver, its lines say whose they are', () => {
    const driver = (agent: string, text: string) => ({
      agent,
      lane: 'driver' as const,
      lines: [{ lane: 'driver' as const, text }],
    });
    const steps = [driver('cpu0', 'one'), driver('cpu1', 'two'), { agent: 'cpu0', lane: 'driver' as const, lines: [] }];
    expect(laneLines(steps, PLAIN).slice(1)).toEqual(['   1  cpu0: one', '   2  cpu1: two', '   3  (cpu0 goes on)']);
  });
});

describe('a counterexample', () => {
  const definition = CASES.find((c) => c.id === 'vtd-merge-psc')!;
  const run = new CaseRun(definition, 'buggy', profileNamed('spec')!);
  const [broken] = run.finish().broken;

  test('is told with its case, its steps, the rule, the caches, the tables, the pages and its token', () => {
    const story = tellStory(run, 'I4', broken.run, 'ph1.x', PLAIN).split('\n');
    expect(story[0]).toBe(
      'vtd-merge-psc buggy under spec: "Force to flush iotlb before creating superpage": the cached PDE survives the unmap',
    );
    const numbered = story.map((line) => /^ *(\d+) {2}/.exec(line)?.[1]).filter((n) => n !== undefined);
    expect(numbered).toEqual(broken.run.map((_, i) => String(i + 1)));
    const end = story.slice(story.findIndex((line) => line.startsWith('  ✗')));
    expect(end).toEqual([
      '  ✗ I4 MAP-VISIBLE is broken in step 39: a DMA that was issued after map returned, to what it mapped, succeeds and reaches the new page (VT-d 6.1)',
      '  In the caches then:',
      '    PML4E cache: DID 1, IOVA 0x0 -> table 0x19db5c1000 (RW)',
      '    PDPE cache: DID 1, IOVA 0x0 -> table 0x1a1cacb000 (RW)',
      '    PDE cache: DID 1, IOVA 0x0 -> table 0x1a30a72000 (RW)',
      '  In the tables:',
      '    PML4[0] = 0x19db5c1003',
      '    PDPT[0] = 0x1a1cacb003',
      '    PD[0] = 0x21d200883',
      '  Page frames:',
      '    PT (0x1a30a72000): free',
      '    page 0 (0x21d200000): DMA buffer of domain 1',
      '    page 1 (0x21d201000): DMA buffer of domain 1',
      '  replay: pinhole replay ph1.x',
    ]);
  });

  async function walked(keys: readonly string[]): Promise<string[]> {
    async function* input() {
      yield* keys;
    }
    const said: string[] = [];
    await walk(run, 'I4', broken.run, input(), (text) => said.push(text), PLAIN);
    return said.slice(1);
  }

  test('is walked forth and back', async () => {
    const said = await walked(['b', '', '', 'b', 's', 'x', 'q', '']);
    expect(said).toEqual([
      'at the start',
      expect.stringMatching(/^ {3}1 {2}iommu_map\(0x0, 0x21d200000, 0x4000\)\n/),
      '   2  PTE[0] = 0x21d200803 at 0x1a30a72000',
      expect.stringMatching(/^ {3}1 {2}iommu_map/),
      expect.stringMatching(/In the caches then:\n {4}nothing\n[\s\S]*PD\[0\] = 0x1a30a72003/),
      'Enter: next step; b: back; s: state of caches, tables and pages; q: quit',
    ]);
  });

  test('ends in the rule that it breaks', async () => {
    const said = await walked(Array(broken.run.length + 1).fill(''));
    expect(said.slice(-2)).toEqual([
      expect.stringContaining('✗ I4 MAP-VISIBLE is broken in step 39'),
      'that was the last step; b: back, q: quit',
    ]);
  });
});
