import { expect, test } from 'vitest';
import { Rules } from './rules.ts';

test('a rule that never fired shows', () => {
  const rules = new Rules();
  const first = rules.declare({ id: 'a', clause: '1', text: 'may' });
  const second = rules.declare({ id: 'b', clause: '2', text: 'may too' });
  rules.fire(second);
  rules.fire(second);
  expect([rules.fired[first], rules.fired[second]]).toEqual([0, 2]);
  expect(rules.list.map((rule) => rule.id)).toEqual(['a', 'b']);
});

test('two units of a model share their rules', () => {
  const rules = new Rules();
  const rule = { id: 'a', clause: '1', text: 'may' };
  expect([rules.declare(rule), rules.declare({ ...rule, id: 'b' }), rules.declare(rule)]).toEqual([0, 1, 0]);
  expect(rules.list).toHaveLength(2);
});
