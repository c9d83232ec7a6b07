/** Scripts that show each deviation of scalable-deviations.ts. */

/** Root entry, context entry of the first test device, PASID directory, PASID table of one entry, and the unit switched on. */
const on = (pasid: readonly string[], context = '0x102001', rest = '') => `
store 0x100000 0x101001
store 0x101500 ${context}
store 0x102000 0x103001
${pasid.map((word, i) => `store 0x${(0x103000 + 8 * i).toString(16)} ${word}`).join('\n')}${rest}
srtp 0x100400
te 1`;

/** Down to 0x113000, from address 0 on, by 4 levels. */
const FIRST = `
store 0x110000 0x111027
store 0x111000 0x112027
store 0x112000 0x113027`;
const DMA = `
dma 0 0x40 4 0x200040`;
const LEAF = `
store 0x110000 0x111003
store 0x111000 0x112003
store 0x112000 0x113003
store 0x113000 0x200003`;
/** P, AW 2, PGTT 2; P, AW 2, PGTT 1. */
const SECOND_STAGE = ['0x110089', '0x1'];
const FIRST_STAGE = ['0x49', '0x1', '0x110000'];

export const PASID_TYPE_BEFORE_PRESENCE = on(['0x0']) + DMA;

export const PASID_NOT_PRESENT_USED = `${on(SECOND_STAGE)}${LEAF}${DMA}
store 0x103000 0x110088
reg 0x90 8 0x1f0800
qie 1
inv 0x37 0x0
inv 0x12 0x0${DMA}`;

const FLUSH = `
inv 0x37 0x0
inv 0x12 0x0`;

export const PASS_THROUGH_STAYS = `${on(SECOND_STAGE)}
reg 0x90 8 0x1f0800
qie 1
store 0x103000 0x101${FLUSH}
store 0x103000 0x110089${FLUSH}
dma 0 0x200040 4 0x200040`;

export const PAGING_MODE_OF_OTHERS = `${on([...SECOND_STAGE, '0x4'])}${LEAF}${DMA}`;

export const PASID_FPD_LATE = on(['0x2']) + DMA;

export const CONTEXT_FUNCTIONS_TAKEN = `${on(SECOND_STAGE, '0x102005')}${LEAF}${DMA}`;

export const ROOT_OTHER_HALF = `${on(SECOND_STAGE, '0x102001', '\nstore 0x100008 0x101003')}${LEAF}${DMA}`;

/** AW is 0, as it has to be. */
export const CANONICAL_BY_WIDTH = `${on(['0x41', '0x1', '0x110000'])}${FIRST}
store 0x111008 0x200000e7
dma 0 0x40000040 4 0x200000`;

export const ONE_FLAG_IS_ENOUGH = `${on(FIRST_STAGE)}${FIRST}
store 0x113000 0x200027${DMA}`;

export const FLAGS_OF_REFUSED_PAGE = `${on(FIRST_STAGE)}${FIRST}
store 0x113000 0xfee00007${DMA}`;

export const GIGABYTE_PAGES_TAKEN = `${on(FIRST_STAGE)}${FIRST}
store 0x111000 0xe7
dma 0 0x200040 4 0x200040`;

export const PASID_ADDRESS_MASK = `
reg 0x90 8 0x1f0800
qie 1
srtp 0x100400
inv 0x36 0x13`;
