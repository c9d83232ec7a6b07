/** RISC-V IOMMU fault causes in words (RISC-V IOMMU architecture specification, 3.2). */
import type { Meaning, Meanings } from '../../bits/index.ts';

export interface RiscvFault extends Meaning {
  /** Whether it is reported though the device's context has DTF = 1. Where no valid context was found, DTF counts as 0. */
  readonly despiteDTF: boolean;
}

function fault(name: string, text: string, despiteDTF = false): RiscvFault {
  return { name, text, clause: 'RISC-V IOMMU 3.2', despiteDTF };
}

const despite = (name: string, text: string): RiscvFault => fault(name, text, true);

const ACCESS = 'memory answered with an error, or forbids the access (PMP, PMA), to the page or to a table above it';
const GUEST_PAGE = 'the second stage does not allow it: iotval2 has the guest-physical address';

/** By CAUSE of a fault record; 275 to 2047 are reserved, from 2048 custom. */
export const FAULTS: Meanings<RiscvFault> = {
  1: fault('Instruction access fault', `execute: ${ACCESS}`),
  4: fault('Read address misaligned', 'read at an address that is not aligned as it must be'),
  5: fault('Read access fault', `read: ${ACCESS}`),
  6: fault('Write/AMO address misaligned', 'write or AMO at an address that is not aligned as it must be'),
  7: fault('Write/AMO access fault', `write or AMO: ${ACCESS}`),
  12: fault('Instruction page fault', 'the first stage does not map the page, or not for execution'),
  13: fault('Read page fault', 'the first stage does not map the page, or not for reading'),
  15: fault('Write/AMO page fault', 'the first stage does not map the page, or not for writing'),
  20: fault('Instruction guest page fault', `execute: ${GUEST_PAGE}`),
  21: fault('Read guest-page fault', `read: ${GUEST_PAGE}`),
  23: fault('Write/AMO guest-page fault', `write or AMO: ${GUEST_PAGE}`),
  256: despite('All inbound transactions disallowed', 'the IOMMU is off (ddtp.iommu_mode = Off)'),
  257: despite('DDT entry load access fault', 'an entry of the device directory could not be read'),
  258: despite('DDT entry not valid', 'an entry of the device directory has V = 0: the device has no context'),
  259: despite(
    'DDT entry misconfigured',
    'an entry of the device directory has a reserved bit set, or asks for what the IOMMU cannot do',
  ),
  260: fault(
    'Transaction type disallowed',
    'the IOMMU, or the context of the device or process, does not allow such a transaction, or its ids are too wide',
  ),
  261: fault('MSI PTE load access fault', 'an entry of the MSI page table could not be read'),
  262: fault('MSI PTE not valid', 'the entry of the MSI page table has V = 0'),
  263: fault(
    'MSI PTE misconfigured',
    'the entry of the MSI page table has a reserved bit set, or a form that the IOMMU does not have',
  ),
  264: fault('MRIF access fault', 'a memory-resident interrupt file could not be accessed'),
  265: fault('PDT entry load access fault', 'an entry of the process directory could not be read'),
  266: fault('PDT entry not valid', 'an entry of the process directory has V = 0: the process has no context'),
  267: fault(
    'PDT entry misconfigured',
    'an entry of the process directory has a reserved bit set, or asks for what the IOMMU cannot do',
  ),
  268: despite(
    'DDT data corruption',
    'an entry of the device directory was read with data that is known to be corrupt',
  ),
  269: fault('PDT data corruption', 'an entry of the process directory was read with data that is known to be corrupt'),
  270: fault('MSI PT data corruption', 'an entry of the MSI page table was read with data that is known to be corrupt'),
  271: fault(
    'MSI MRIF data corruption',
    'a memory-resident interrupt file was read with data that is known to be corrupt',
  ),
  272: despite('Internal data path error', 'the IOMMU found an error inside itself'),
  273: despite('IOMMU MSI write access fault', 'a message of the IOMMU itself could not be written'),
  274: fault(
    'First/second-stage PT data corruption',
    'an entry of a page table was read with data that is known to be corrupt',
  ),
};

/** Causes whose iotval2 is a guest-physical address. */
export const GUEST_PAGE_FAULTS: readonly number[] = [20, 21, 23];
