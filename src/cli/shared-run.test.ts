/** What several threads say of one search, put together. */
import { expect, test } from 'vitest';
import type { SavedSearch } from '../explore/index.ts';
import type { Part } from './shared-run.ts';
import { together } from './shared-run.ts';

const BEFORE: SavedSearch = {
  stacks: [[9]],
  entries: new Int32Array(),
  transitions: 100,
  depth: 7,
  reduced: 3,
  cyclic: false,
  violations: [{ property: 'I1', run: [] }],
  fired: [1, 0, 5],
};

const part = (what: Partial<Part>): Part => ({
  stacks: [],
  violations: [],
  fired: [0, 0, 0],
  reduced: 0,
  cyclic: false,
  ...what,
});

test('each thread counts once, with what it found and what it has left, and so does what nobody has taken', () => {
  const entries = Int32Array.of(1, 2, 3, 4);
  const late = { property: 'I1', run: [{ agent: 1, choice: 0 }] };
  const found = { property: 'I4', run: [{ agent: 2, choice: 1 }] };
  const parts = [
    part({ stacks: [[1], [2, 3]], fired: [1, 2, 3], reduced: 4, violations: [late] }),
    // For want of work, with something found.
    part({ fired: [0, 1, 0], reduced: 2, violations: [found], cyclic: true }),
  ];
  const shared = { transitions: 50, depth: 6, waiting: [[4]], entries };
  expect(together(BEFORE, parts, shared)).toEqual({
    stacks: [[1], [2, 3], [4]],
    entries,
    transitions: 150,
    depth: 7,
    reduced: 9,
    cyclic: true,
    violations: [BEFORE.violations[0], found],
    fired: [2, 3, 8],
  });
});
