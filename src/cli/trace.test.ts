import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { InvariantId } from '../cases/index.ts';
import { INVARIANTS } from '../cases/index.ts';
import type { Trace } from './trace.ts';
import { fromJson, fromToken, isToken, toJson, toToken } from './trace.ts';
import { UsageError } from './usage-error.ts';

const traces: fc.Arbitrary<Trace> = fc.record({
  case: fc.string(),
  file: fc.option(fc.string()),
  variant: fc.string(),
  profile: fc.string(),
  mutant: fc.option(fc.string()),
  invariant: fc.constantFrom(...(Object.keys(INVARIANTS) as InvariantId[])),
  decisions: fc.array(fc.record({ agent: fc.nat(9), choice: fc.nat(99) })),
  fingerprint: fc.stringMatching(/^[0-9a-f]{16}$/),
});

const TRACE: Trace = {
  case: 'D3',
  file: null,
  variant: 'ih-1',
  profile: 'spec',
  mutant: null,
  invariant: 'I2',
  decisions: [
    { agent: 0, choice: 0 },
    { agent: 3, choice: 1 },
  ],
  fingerprint: '0123456789abcdef',
};

function refusal(run: () => unknown): string {
  let error: unknown;
  try {
    run();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(UsageError);
  return (error as UsageError).message;
}

describe('a token', () => {
  test('comes back as what it was, and can stand in a shell and a URL', () => {
    fc.assert(
      fc.property(traces, (trace) => {
        const token = toToken(trace);
        expect(token).toMatch(/^ph1\.[\w.-]+$/);
        expect(isToken(token)).toBe(true);
        expect(fromToken(token)).toEqual(trace);
      }),
    );
  });

  test('is refused with any one letter changed, lost or doubled', () => {
    const token = toToken(TRACE);
    for (let i = 'ph1.'.length; i < token.length; i++) {
      const changed = token[i] === 'A' ? 'B' : 'A';
      for (const middle of [changed, '', token[i] + token[i]]) {
        const damaged = token.slice(0, i) + middle + token.slice(i + 1);
        if (damaged === token) continue;
        expect(refusal(() => fromToken(damaged))).toBe(
          "the replay token is damaged (its checksum does not fit); copy all of it, from 'ph1.' to its end",
        );
      }
    }
  });

  test('with a right checksum is still not trusted', async () => {
    const { createHash } = await import('node:crypto');
    const sealed = (body: string) => `ph1.${createHash('sha256').update(body).digest('hex').slice(0, 8)}.${body}`;
    const token = (value: unknown) => sealed(deflateRawSync(JSON.stringify(value)).toString('base64url'));
    const good = ['D3', null, 'ih-1', 'spec', null, 'I2', '0123456789abcdef', [0, 0]];
    expect(fromToken(token(good)).case).toBe('D3');
    const bad: unknown[] = [
      {},
      [],
      [7, ...good.slice(1)],
      [...good.slice(0, 5), 'constructor', ...good.slice(6)],
      [...good.slice(0, 7), [0]],
      [...good.slice(0, 7), [0, -1]],
      [...good.slice(0, 7), [0.5, 1]],
      [...good.slice(0, 7), 'steps'],
      [...good.slice(0, 6), 'fingerprint', [0, 0]],
    ];
    for (const value of bad) expect(refusal(() => fromToken(token(value)))).toMatch(/^the replay token/);
    expect(refusal(() => fromToken(sealed('not-deflated')))).toMatch(/does not hold a trace/);
    // A few bytes that blow up to many.
    const bomb = deflateRawSync(Buffer.alloc(1 << 26, ' ')).toString('base64url');
    expect(refusal(() => fromToken(sealed(bomb)))).toMatch(/does not hold a trace/);
  });
});

describe('a trace file', () => {
  test('holds one trace or several', () => {
    const one = toJson(TRACE, ['first', 'second']);
    expect(fromJson(JSON.stringify(one), 't.json')).toEqual([TRACE]);
    expect(fromJson(JSON.stringify([one, one]), 't.json')).toEqual([TRACE, TRACE]);
    expect(one).toMatchObject({ format: 'pinhole-trace', version: 1, steps: ['first', 'second'] });
  });

  test.each<[string, unknown, string]>([
    ['another format', { format: 'x' }, "t.json: is no pinhole-trace; name a file that 'pinhole check --trace' wrote"],
    ['a list of nothing', [], 't.json: holds no trace; nothing was violated when it was written'],
    [
      'another version',
      { ...toJson(TRACE, []), version: 2 },
      't.json: version 2 of the format is not known here; take the pinhole that wrote it',
    ],
    [
      'a bad step',
      [toJson(TRACE, []), { ...toJson(TRACE, []), decisions: [[0, 0], [1]] }],
      "t.json: trace 2: step 2 is not a pair of an agent and a choice; write the trace anew with 'pinhole check --trace'",
    ],
  ])('is refused: %s', (_, value, message) => {
    expect(refusal(() => fromJson(JSON.stringify(value), 't.json'))).toBe(message);
  });

  test('that is no JSON is refused', () => {
    expect(refusal(() => fromJson('{', 't.json'))).toMatch(/^t\.json: is not JSON \(.*\); name a file that/);
  });
});
