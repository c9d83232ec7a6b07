/** DESIGN, "Rooms": the folders of src/, and whom each may import. */

/** What an iommu model's file without its own state declares; the last word of its name (`scalable-structures`). */
const DECLARATIONS = ['registers', 'structures', 'commands'] as const;

/** One entry of a room's list: a room, or only the files with these last words in their names in a room. */
export type Permit = string | { readonly room: string; readonly files: readonly string[] };

export interface Room {
  /** Rooms besides itself; `iommu/*` stands for each model and what is beside it; `*` for everyone. */
  readonly imports: readonly Permit[];
  /** Does it run in a browser as well? Then neither Node nor the DOM may appear in it. */
  readonly browser: boolean;
}

/** Packages that browser-side rooms may import: none today. */
export const BROWSER_PACKAGES: readonly string[] = [];

export const ROOMS: Readonly<Record<string, Room>> = {
  bits: { browser: true, imports: [] },
  machine: { browser: true, imports: ['bits'] },
  'iommu/kit': { browser: true, imports: ['machine', 'bits'] },
  'iommu/*': { browser: true, imports: ['iommu/kit', 'machine', 'bits'] },
  // Stands beside one model, and does its commands there.
  'iommu/cmdqv': { browser: true, imports: ['iommu/smmuv3', 'iommu/kit', 'machine', 'bits'] },
  // The table of models: files of src/iommu/ itself.
  iommu: { browser: true, imports: ['iommu/kit', 'iommu/*', 'machine', 'bits'] },
  devices: { browser: true, imports: ['machine', 'iommu/kit', 'bits'] },
  vmm: {
    browser: true,
    imports: [
      ...['iommu', 'iommu/kit', 'iommu/*', 'devices', 'machine', 'bits'],
      // Firmware tables are written by the declarations that they are read by.
      { room: 'decode', files: ['structures', 'declaration'] },
    ],
  },
  guest: { browser: true, imports: ['machine', 'bits', { room: 'iommu/*', files: DECLARATIONS }] },
  explore: { browser: true, imports: ['machine', 'bits'] },
  cases: {
    browser: true,
    imports: ['bits', 'machine', 'iommu', 'iommu/kit', 'iommu/*', 'devices', 'vmm', 'guest', 'explore'],
  },
  // What `pinhole bench` measures; the clock is passed in.
  bench: { browser: true, imports: ['bits', 'machine', 'iommu/kit', 'iommu/*', 'explore', 'cases', 'decode'] },
  decode: { browser: true, imports: ['bits', { room: 'iommu/*', files: [...DECLARATIONS, 'faults', 'events'] }] },
  bridge: { browser: false, imports: ['*'] },
  cli: { browser: false, imports: ['*'] },
  // The web pages: their own tsconfig gives them the DOM.
  lab: { browser: false, imports: ['*'] },
  // src/index.ts: what `pinhole` exports runs everywhere.
  index: {
    browser: true,
    imports: [
      ...['bits', 'machine', 'iommu', 'iommu/kit', 'iommu/*', 'devices', 'vmm', 'guest', 'explore', 'cases'],
      'decode',
    ],
  },
};

/** The room of a file under src/ (`iommu/vtd/walk.ts` → `iommu/vtd`), or null where the design has no such room. */
export function roomOf(path: string): string | null {
  const [first, second, third] = path.split('/') as [string, string?, string?];
  if (second === undefined) return first === 'index.ts' ? 'index' : null;
  if (first === 'iommu') return third === undefined ? 'iommu' : `iommu/${second}`;
  return first !== 'index' && Object.hasOwn(ROOMS, first) ? first : null;
}

/** The table's row for a room: each model has the row `iommu/*`. */
export function rulesOf(room: string): Room {
  return ROOMS[rowOf(room)] as Room;
}

export function rowOf(room: string): string {
  return room.startsWith('iommu/') && !Object.hasOwn(ROOMS, room) ? 'iommu/*' : room;
}

/** Whether a permit of a room's list is one for another room: `iommu/*` is for what stands beside a model as well. */
export function isFor(permit: string, room: string): boolean {
  const models = permit === 'iommu/*' && room.startsWith('iommu/') && room !== 'iommu/kit';
  return permit === '*' || permit === room || models;
}
