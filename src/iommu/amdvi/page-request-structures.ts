/** AMD-Vi peripheral page request log entries. Source: AMD publication 48882; see the README. */
import { address, bit, bits, fixed, ignored, named, structure } from '../../bits/index.ts';

/** Where the code of each entry is. */
export const PPR_CODE = bits(63, 60);

/** PPRTag is the group that the response names, and whether this is its last request. */
export const PAGE_SERVICE_REQUEST = structure('PAGE_SERVICE_REQUEST', 128, 'AMD-Vi 2.6', {
  DeviceID: bits(15, 0),
  PASID_15_0: bits(31, 16),
  PPRTag_group: bits(40, 32),
  PPRTag_last: bit(41),
  PASID_19_16: bits(45, 42),
  /** Permissions that are asked for. */
  Execute: bit(49),
  Read: bit(50),
  Write: bit(53),
  US: named(bit(54), { 0: 'supervisor', 1: 'user' }),
  RZ: named(bit(55), { 1: 'reserved bit set' }),
  GN: named(bit(56), { 1: 'guest address, of the PASID' }),
  PPRCode: fixed(PPR_CODE, 0x1),
  IGN_75_64: ignored(75, 64),
  Address: address(127, 76),
});

/** Bytes of an entry. */
export const PPR_BYTES = 16;
