/** `pinhole list`: cases with their variants, models, profiles. */
import { buildCommand } from '@stricli/core';
import type { ModelName } from '../../cases/index.ts';
import { CASES, expectedOf, MEASURES, MODELS } from '../../cases/index.ts';
import { coloursFor, print } from '../terminal.ts';

const NAMES = Object.keys(MODELS) as ModelName[];

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
          expected: Object.fromEntries(
            MODELS[model].profiles.map((p) => [p.name, expectedOf({ model, variants }, name, p.name)]),
          ),
        })),
        mutants: Object.entries(mutants ?? {}).map(([name, mutant]) => ({ name, ...mutant })),
      }));
      const measures = MEASURES.map(({ id, title, thread, tags, model, variants }) => ({
        ...{ id, title, thread: thread ?? null, tags: tags ?? [], model },
        variants: Object.entries(variants).map(([name, what]) => ({ name, what })),
      }));
      const models = NAMES.map((name) => ({ name, title: MODELS[name].title }));
      const profiles = NAMES.flatMap((model) =>
        MODELS[model].profiles.map(({ name, title }) => ({ name, model, title })),
      );
      print(JSON.stringify({ cases, measures, models, profiles }, null, 2));
      return;
    }
    const colours = coloursFor(process.stdout);
    for (const definition of CASES) {
      const { id, title, thread, tags, model, variants, mutants } = definition;
      print(
        `${colours.bold(id)}  ${title} ${colours.dim(`[${[model, `thread ${thread ?? '-'}`, ...(tags ?? [])].join('; ')}]`)}`,
      );
      for (const name of Object.keys(variants)) {
        const verdicts = MODELS[model].profiles.map((p) => `${p.name}: ${expectedOf(definition, name, p.name)}`);
        const own = Object.entries(mutants ?? {}).filter(([, m]) => m.variant === name);
        const list = own.length > 0 ? colours.dim(`  mutants: ${own.map(([m]) => m).join(' ')}`) : '';
        print(`    ${name.padEnd(20)} ${verdicts.join(', ')}${list}`);
      }
    }
    for (const { id, title, thread, tags, model, variants } of MEASURES) {
      print(
        `${colours.bold(id)}  ${title} ${colours.dim(`[${[model, `thread ${thread ?? '-'}`, ...(tags ?? [])].join('; ')}]`)}`,
      );
      for (const [name, what] of Object.entries(variants)) print(`    ${name.padEnd(20)} measured: ${what}`);
    }
    print('');
    for (const model of NAMES) {
      const { title, profiles } = MODELS[model];
      print(`model ${colours.bold(model)}: ${title}`);
      for (const profile of profiles) print(`    profile ${colours.bold(profile.name)}: ${profile.title}`);
    }
  },
});
