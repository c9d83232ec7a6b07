import { expect, test } from 'vitest';
import { EventLog } from './event-log.ts';

test('off, it says nothing', () => {
  const log = new EventLog();
  log.say('driver', 'writes a PTE');
  expect(log.take()).toEqual([]);
});

test('on, it keeps lines in order until they are taken', () => {
  const log = new EventLog();
  log.on = true;
  log.say('driver', 'writes a PTE');
  log.say('iommu', 'reads it');
  expect(log.take()).toEqual([
    { lane: 'driver', text: 'writes a PTE' },
    { lane: 'iommu', text: 'reads it' },
  ]);
  expect(log.take()).toEqual([]);
});
