/** `pinhole new`: a case to start from. */
import { existsSync, writeFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { buildCommand } from '@stricli/core';
import { print } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export const newCommand = buildCommand<Record<never, never>, [string]>({
  docs: { brief: 'write a case to start from' },
  parameters: {
    flags: {},
    positional: { kind: 'tuple', parameters: [{ brief: 'file to write', parse: String, placeholder: 'FILE.ts' }] },
  },
  func(_flags, file) {
    if (!/^\.m?ts$/.test(extname(file))) throw new UsageError(`${file}: is not a .ts file; give it that extension`);
    if (existsSync(file)) throw new UsageError(`${file}: is there already; name another file, or move it away`);
    const id =
      basename(file, extname(file))
        .replace(/[^\w-]/g, '-')
        .replace(/^[^A-Za-z]+/, '') || 'my-case';
    try {
      writeFileSync(file, template(id));
    } catch (error) {
      throw new UsageError(`${file}: cannot be written (${(error as Error).message}); name a file that can`);
    }
    print(`${file} is written; 'pinhole check ${file}' runs it: one variant is violated, the other holds.`);
  },
});

function template(id: string): string {
  return `import { defineCase, VtdScene } from 'pinhole';

const IOVA = 0x1000n;
const PAGE = 0x21d201000n;

// A driver takes a mapping out and gives the page back. Does it wait long enough?
export default defineCase({
  id: '${id}',
  title: 'a page is given back while DMA may still be on its way',
  model: 'vtd',
  invariants: ['I3', 'I1'], // no write into a page that has a new owner; no translation by the old mapping
  variants: { 'no-flush': 'violated', flush: 'holds' },
  build({ variant, profile }) {
    // A VT-d unit with translation on, function 02:00.0 in domain 1, and the invalidation queue running.
    const scene = new VtdScene({ profile, mutation: { noUnmapFlush: variant === 'no-flush' } });
    const { machine, cpu, domain } = scene;
    const pages = machine.pool([scene.buffer('P', PAGE, [0])]);
    const stranger = machine.owner('another process', 'other');
    scene.premap(IOVA, PAGE, 1);
    scene.device('nic', [IOVA]).stray([IOVA], 'write', 2); // two DMA writes, at any time

    // Actors are generators; each yield* is a step, and every order of all steps is tried.
    machine.actor('driver', function* () {
      yield* domain.unmap(IOVA, 0x1000n);
      yield* pages.release(PAGE);
    });
    machine.actor('new owner', function* () {
      yield* pages.alloc(stranger);
      yield* cpu.write64(PAGE, 0xc0ffeen);
    });
    return machine;
  },
});
`;
}
