import { expect, test } from 'vitest';
import { Arena } from './arena.ts';
import { Frames } from './frames.ts';

test('a frame is found by its page frame number, and nothing is found elsewhere', () => {
  const frames = new Frames(new Arena());
  const frame = frames.add('pte', 0x1234, 0);
  expect(frame).toEqual({ name: 'pte', pfn: 0x1234, index: 0 });
  expect([frames.find(0x1234), frames.find(0x1235)]).toEqual([0, -1]);
});

test('owner 0 is nobody', () => {
  const frames = new Frames(new Arena());
  frames.add('page', 1, 0);
  expect(frames.owners[frames.ownerOf(0)].kind).toBe('free');
});

test('one owner is declared once; another kind or domain is another owner', () => {
  const frames = new Frames(new Arena());
  const first = frames.owner('nic', 'buffer', 1);
  expect(frames.owner('nic', 'buffer', 1)).toBe(first);
  expect(new Set([first, frames.owner('nic', 'table', 1), frames.owner('nic', 'buffer', 2)]).size).toBe(3);
});

test('ownership is state', () => {
  const arena = new Arena();
  const frames = new Frames(arena);
  frames.add('page', 1, 0);
  const before = arena.snapshot();
  frames.setOwner(0, frames.owner('victim', 'other'));
  expect(frames.owners[frames.ownerOf(0)].name).toBe('victim');
  expect(arena.diff(before, arena.snapshot())).toEqual([{ word: 'frames[0].owner', from: 0, to: 1 }]);
  arena.restore(before);
  expect(frames.ownerOf(0)).toBe(0);
});

test('a frame declared twice is refused', () => {
  const frames = new Frames(new Arena());
  frames.add('a', 0x10, 0);
  expect(() => frames.add('b', 0x10, 0)).toThrow('frame 0x10 is declared twice (b)');
});

test('more than 64 frames are refused', () => {
  const frames = new Frames(new Arena());
  for (let i = 0; i < 64; i++) frames.add(`f${i}`, i, 0);
  expect(() => frames.add('f64', 64, 0)).toThrow('at most 64 page frames');
});
