/** `pinhole explain`: what logs and words say, and why it happened. */
import { buildCommand } from '@stricli/core';
import { commandLineFinding, Explainer, STRUCTURE_KINDS } from '../../decode/index.ts';
import { decodeAs, wordsAndInputs } from '../explain/as-words.ts';
import { inputsOf, readInput } from '../explain/read-input.ts';
import { Reading, STOPPED } from '../explain/reading.ts';
import { say, sayStructure } from '../explain/say.ts';
import { sayCommandLine } from '../explain/say-command-line.ts';
import { sayTable } from '../explain/say-table.ts';
import { reportToJson, structureToJson } from '../explain/to-json.ts';
import type { WalkFlags } from '../explain/walk.ts';
import { sayWalk, Walk, walkToJson } from '../explain/walk.ts';
import { INTERRUPTED } from '../runner.ts';
import { coloursFor, print } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

interface ExplainFlags extends WalkFlags {
  readonly as?: string;
  readonly cmdline?: string;
  readonly kinds?: boolean;
  readonly json?: boolean;
}

export const explainCommand = buildCommand<ExplainFlags, string[]>({
  docs: { brief: 'say what a DMA fault, a log or the words of a structure mean, and why it happened' },
  parameters: {
    flags: {
      as: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'decode words of this kind, lowest first or HIGH:LOW; with --walk, begin there',
        placeholder: 'KIND',
      },
      walk: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'walk this address through the dumps that are given',
        placeholder: 'ADDRESS',
      },
      device: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'whose, for --walk: or a StreamID or device_id as 0x…',
        placeholder: 'BUS:DEV.FN',
      },
      pasid: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'under which PASID, for --walk',
        placeholder: 'N',
      },
      data: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'what an interrupt writes, for --walk of AMD-Vi',
        placeholder: 'N',
      },
      cmdline: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: "say what a kernel's command line asks of IOMMUs, and what in it does nothing",
        placeholder: 'LINE',
      },
      kinds: { kind: 'boolean', optional: true, withNegated: false, brief: 'list the kinds that --as takes' },
      json: { kind: 'boolean', optional: true, withNegated: false, brief: 'as JSON' },
    },
    positional: {
      kind: 'array',
      parameter: { brief: "file, '-' for standard input, or words of --as", parse: String, placeholder: 'FILE' },
    },
  },
  async func(flags, ...names) {
    if (flags.kinds === true) listKinds(flags.json === true);
    else if (flags.cmdline !== undefined) explainCommandLine(flags.cmdline, flags.json === true);
    else if (flags.as !== undefined && flags.walk === undefined) {
      const decoded = decodeAs(flags.as, names);
      print(
        flags.json === true
          ? JSON.stringify(structureToJson(decoded), null, 2)
          : sayStructure(decoded, coloursFor(process.stdout)).join('\n'),
      );
    } else {
      const walk = Walk.of(flags);
      await explainInputs(inputNames(beginning(walk, flags.as, names)), walk, flags.json === true);
    }
  },
});

/** A walk may begin at words of the command line. @returns what is left of it: inputs */
function beginning(walk: Walk | null, kind: string | undefined, names: readonly string[]): readonly string[] {
  if (walk === null || kind === undefined) return names;
  const { inputs, words } = wordsAndInputs(kind, names);
  walk.beginAt(kind, words);
  return inputs;
}

function explainCommandLine(line: string, json: boolean): void {
  const explainer = new Explainer();
  explainer.report.add({ finding: commandLineFinding(line), at: { input: '--cmdline', line: 1, time: null } });
  if (json) print(JSON.stringify(reportToJson(explainer), null, 2));
  else print(sayCommandLine(line, coloursFor(process.stdout)).join('\n'));
}

function inputNames(names: readonly string[]): string[] {
  if (names.length > 0) return inputsOf(names);
  if (process.stdin.isTTY === true) throw new UsageError('name a file, or pipe a log in: dmesg | pinhole explain');
  return ['-'];
}

/** Reads all; what was found before an input failed, or before Ctrl-C, is told all the same. */
async function explainInputs(names: readonly string[], walk: Walk | null, json: boolean): Promise<void> {
  const explainer = new Explainer(walk?.tables ?? null);
  const reading = new Reading();
  try {
    for (const name of names) {
      explainer.begin(name);
      const onText = (text: string) => {
        explainer.push(text);
        reading.goOn(name, text.length);
      };
      await readInput(name, onText, (bytes) => explainer.addTable(bytes));
    }
  } catch (error) {
    if (error !== STOPPED) {
      explainer.end();
      if (explainer.report.groups.length > 0) tell(explainer, walk, json);
      throw error;
    }
  } finally {
    reading.end();
  }
  explainer.end();
  tell(explainer, walk, json);
  if (!reading.stopped) return;
  process.stderr.write('pinhole: interrupted; what was read until then is told\n');
  process.exitCode = INTERRUPTED;
}

function tell(explainer: Explainer, walk: Walk | null, json: boolean): void {
  const walked = walk?.result() ?? null;
  if (json) {
    const report = reportToJson(explainer);
    print(JSON.stringify(walked === null ? report : { ...report, walk: walkToJson(walked) }, null, 2));
    return;
  }
  const { acpi, report } = explainer;
  const { groups, unknownCount } = report;
  const lines = explainer.inputs.reduce((sum, input) => sum + input.lines, 0);
  const colours = coloursFor(process.stdout);
  if (walked !== null) {
    // Who asks for one address wants no list of what else the dumps say.
    print(sayWalk(walked, walk?.tables.contradictions ?? 0, colours).join('\n'));
    return;
  }
  const said = [...acpi.flatMap((table) => sayTable(table, colours)), ...say(report, explainer.groups, colours)];
  if (groups.length + unknownCount + acpi.length === 0)
    said.push(`Nothing of an IOMMU in ${lines.toLocaleString('en')} lines.`);
  else if (lines > 0) said.push(`${lines.toLocaleString('en')} lines read.`);
  else said.pop();
  print(said.join('\n'));
}

function listKinds(json: boolean): void {
  const kinds = STRUCTURE_KINDS.map(({ id, words, wordBits, example }) => ({
    kind: id,
    words,
    wordBits,
    example: example.join(' '),
  }));
  if (json) print(JSON.stringify(kinds, null, 2));
  else
    for (const { kind, words, wordBits } of kinds) print(`${kind.padEnd(24)} ${words.join(' or ')} × ${wordBits} bits`);
}
