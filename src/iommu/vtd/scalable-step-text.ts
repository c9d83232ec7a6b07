/** A step of a walk in scalable mode in words, for stories. */
import { hex, hex64 } from '../../bits/index.ts';
import { bdf } from '../../machine/index.ts';
import { FS_ENTRY_NAME } from './scalable-structures.ts';
import type { ScalableWalk } from './scalable-walk.ts';
import { PURPOSE, STAGE } from './scalable-walk.ts';
import { ENTRY_NAME } from './structures.ts';

/** The entry that was read. @param where byte address of its table. @param levels those of both stages before the step */
export function entryText(
  walk: ScalableWalk,
  stage: number,
  where: number,
  { first, second }: { first: number; second: number },
): string {
  const entry = hex64(walk.entryLo, walk.entryHi);
  const purpose = walk.purpose === PURPOSE.page ? '' : ' for a first-stage table';
  const what: Readonly<Record<number, string>> = {
    [STAGE.root]: `root entry of bus ${hex(walk.sid >>> 8)}`,
    [STAGE.context]: `context entry ${entry} of ${bdf(walk.sid)}, lower half`,
    [STAGE.contextHigh]: 'the upper half of the context entry',
    [STAGE.directory]: `directory entry ${entry} of PASID ${hex(walk.tablePasid)}`,
    [STAGE.entry]: `PASID table entry ${entry}, first quarter: DID ${walk.did}`,
    [STAGE.entryHigh]: 'the rest of the PASID table entry',
    [STAGE.first]: `${FS_ENTRY_NAME[first]} ${entry} in ${hex(where)}`,
    [STAGE.second]: `SS-${ENTRY_NAME[second]} ${entry} in ${hex(where)}${purpose}`,
    [STAGE.dirty]: 'the first-stage leaf again, for its dirty flag',
  };
  return what[stage];
}
