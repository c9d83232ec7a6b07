/** `pinhole list`: cases with their variants, models, profiles. */
import { buildCommand } from '@stricli/core';
import { CASES, expectedOf } from '../../cases/index.ts';
import { PROFILES } from '../../iommu/vtd/index.ts';
import { coloursFor, print } from '../terminal.ts';

const MODELS = [{ name: 'vtd', title: 'Intel VT-d' }] as const;

export const listCommand = buildCommand<{ readonly json?: boolean }>({
  docs: { brief: 'cases with their variants, mutants, models and profiles' },
  parameters: { flags: { json: { kind: 'boolean', optional: true, withNegated: false, brief: 'as JSON' } } },
  func(flags) {
    if (flags.json === true) {
      const cases = CASES.map(({ id, title, thread, tags, model, invariants, variants, mutants }) => ({
        id,
        title,
        thread: thread ?? null,
        tags: tags ?? [],
        model,
        invariants,
        variants: Object.keys(variants).map((name) => ({
          name,
          expected: Object.fromEntries(PROFILES.map((p) => [p.name, expectedOf({ variants }, name, p.name)])),
        })),
        mutants: Object.entries(mutants ?? {}).map(([name, mutant]) => ({ name, ...mutant })),
      }));
      const profiles = PROFILES.map(({ name, title }) => ({ name, model: 'vtd', title }));
      print(JSON.stringify({ cases, models: MODELS, profiles }, null, 2));
      return;
    }
    const colours = coloursFor(process.stdout);
    for (const definition of CASES) {
      const { id, title, thread, tags, variants, mutants } = definition;
      print(
        `${colours.bold(id)}  ${title} ${colours.dim(`[${[`thread ${thread ?? '-'}`, ...(tags ?? [])].join('; ')}]`)}`,
      );
      for (const name of Object.keys(variants)) {
        const verdicts = PROFILES.map((p) => `${p.name}: ${expectedOf(definition, name, p.name)}`);
        const own = Object.entries(mutants ?? {}).filter(([, m]) => m.variant === name);
        const list = own.length > 0 ? colours.dim(`  mutants: ${own.map(([m]) => m).join(' ')}`) : '';
        print(`    ${name.padEnd(20)} ${verdicts.join(', ')}${list}`);
      }
    }
    print('');
    for (const { name, title } of MODELS) print(`model ${colours.bold(name)}: ${title}`);
    for (const { name, title } of PROFILES) print(`profile ${colours.bold(name)}: ${title}`);
  },
});
