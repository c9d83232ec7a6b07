/** How many pages a stage-2 table of a guest has: mapped by the driver's own code, counted where it allocates. */
import { Instance, runPrompt } from '../explore/index.ts';
import { ArmPageTable, STAGE_2 } from '../guest/index.ts';
import { Machine } from '../machine/index.ts';

/** Memory of the guest, from address 0 on, mapped by blocks of 2 MiB. */
export const GUEST_BYTES = 2 ** 29;
const BLOCK = 2 ** 21;
const PAGE = 4096;

/** Level of blocks of 2 MiB, of the table of level 1 as the driver counts: from the pages up. */
const OF_BLOCKS = 2;
const LEVELS = 3;
const ROOT = 0x10000000n;

/** @returns pages of 4 KiB, the top table with them */
export function stageTwoPages(): number {
  const machine = new Machine();
  const owner = machine.owner('stage 2', 'table', 1);
  const blocks = GUEST_BYTES / BLOCK;
  const entries = Array.from({ length: blocks }, (_, i) => i);
  machine.frame('top', ROOT, owner, [0]);
  const frames = [1n, 2n].map((n) => machine.frame(`table ${n}`, ROOT + n * BigInt(PAGE), 0, n === 1n ? entries : []));
  const table = new ArmPageTable(machine.cpu(), machine.pool(frames), ROOT, LEVELS, owner, false, STAGE_2);
  machine.actor('host', function* () {
    const nothing = function* () {
      yield* [];
    };
    for (let i = 0; i < blocks; i++)
      yield* table.mapLeaf((i * BLOCK) / PAGE, OF_BLOCKS, 0x100000 + (i * BLOCK) / PAGE, nothing);
  });
  const instance = new Instance(machine);
  runPrompt(instance);
  if (instance.hasWaiting()) throw new Error('the guest is not mapped as a whole');
  return 1 + frames.filter(({ index }) => machine.frames.ownerOf(index) === owner).length;
}
