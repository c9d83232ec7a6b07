/** What a model declares, `pinhole explain --as` decodes: each declaration is a kind's, or what a kind finds its words to be. */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Fields, Layout } from '../src/bits/index.ts';
import { encodeHalves, join, maskOf } from '../src/bits/index.ts';
import type { DecodedStructure, StructureKind } from '../src/decode/index.ts';
import { decodeStructure, STRUCTURE_KINDS, StructureError } from '../src/decode/index.ts';
import { layoutsOf } from './declarations.ts';

/** Files of declarations, by the last word of their names. */
const FILES = /^(?:(?:[a-z0-9-]*-)?(?:registers|structures|commands)|faults)\.ts$/;
const MODELS = new URL('../src/iommu/', import.meta.url);

/** By model: declarations that have no kind of their own, and why. */
const WITHOUT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  vtd: {
    'FRCD_REG.hi': 'a half of vtd.frcd',
    'FRCD_REG.lo': 'a half of vtd.frcd',
    IRTA_REG: 'without ECAP.EIM it has a field less, and its name is that of the other',
    'second-stage flags': 'A and D of the entries, for the walk alone',
  },
  amdvi: {},
  smmuv3: {},
  smmuv2: {},
  riscv: {},
  virtio: { virtio_iommu_req_head: 'every request begins with it, and is decoded as a whole' },
  spapr: {},
};

/** Fields and their bits: registers of which there are several are all alike. */
function shapeOf(fields: Iterable<{ readonly name: string; readonly hi: number; readonly lo: number }>): string {
  return Array.from(fields, ({ hi, lo, name }) => `${name} ${hi}:${lo}`)
    .sort()
    .join();
}

/** Words with its fixed values, and with nothing else set, with everything, with one field at a time, and with each value that has a name. */
function instancesOf(of: Layout<Fields>): Int32Array[] {
  const free = Object.values(of.fields).filter(({ fixed }) => fixed === null);
  const masks = free.map((field) => maskOf(field, of.width / 32));
  const with_ = (chosen: readonly Int32Array[]) => {
    const halves = Int32Array.from(encodeHalves(of, {}));
    for (const mask of chosen) mask.forEach((bits, i) => (halves[i] = (halves[i] ?? 0) | bits));
    return halves;
  };
  const named = Object.entries(of.fields)
    .filter(([, { fixed }]) => fixed === null)
    .flatMap(([name, { values }]) => Object.keys(values ?? {}).map((value) => ({ [name]: Number(value) })));
  return [
    ...[with_([]), with_(masks), ...masks.map((mask) => with_([mask]))],
    ...named.map((values) => Int32Array.from(encodeHalves(of, values))),
  ];
}

function decodedBy(kind: StructureKind, halves: Int32Array): DecodedStructure[] {
  const words =
    kind.wordBits === 32
      ? Array.from(halves, (half) => BigInt(half >>> 0))
      : Array.from({ length: Math.ceil(halves.length / 2) }, (_, i) =>
          join(halves[2 * i] ?? 0, halves[2 * i + 1] ?? 0),
        );
  return kind.words
    .filter((count) => count >= words.length)
    .flatMap((count) => {
      try {
        return [decodeStructure(kind, [...words, ...Array<bigint>(count - words.length).fill(0n)])];
      } catch (error) {
        expect(error).toBeInstanceOf(StructureError);
        return [];
      }
    });
}

function isKnown(model: string, of: Layout<Fields>): boolean {
  const kinds = STRUCTURE_KINDS.filter(({ id }) => id.startsWith(`${model}.`));
  const shape = shapeOf(Object.entries(of.fields).map(([name, { hi, lo }]) => ({ name, hi, lo })));
  return instancesOf(of).some((halves) =>
    kinds.some((kind) => decodedBy(kind, halves).some(({ fields }) => shapeOf(fields) === shape)),
  );
}

describe.each(Object.entries(WITHOUT))('%s', (model, without) => {
  test('every declaration has a kind, or a reason to have none', async () => {
    const files = readdirSync(new URL(`${model}/`, MODELS)).filter((name) => FILES.test(name));
    const modules = await Promise.all(files.map((name) => import(new URL(`${model}/${name}`, MODELS).href)));
    const declared = modules.flatMap((module) => layoutsOf(module as object));
    expect(declared.length).toBeGreaterThan(3);
    const unknown = declared.filter((of) => !isKnown(model, of)).map(({ name }) => name);
    expect([...new Set(unknown)].sort()).toEqual(Object.keys(without).sort());
  });
});
