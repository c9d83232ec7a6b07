/** A stop of Windows that the IOMMU made. */
import { expect, test } from 'vitest';
import { explain } from '../index.ts';

const text = (type: string) => `DRIVER_VERIFIER_DMA_VIOLATION (e6)
An illegal DMA operation was attempted by a driver being verified.
Arguments:
Arg1: 0000000000000026, IOMMU detected DMA violation.
Arg2: ffffa90d5a1d4060, Device Object of faulting device.
Arg3: 00000000fd200000, Faulting information (usually faulting physical address).
Arg4: ${type}, Fault type (hardware specific).
`;

test('its parameters: the device object, the address, and the type as VT-d would mean it', () => {
  const { groups, unknownCount } = explain(text('0000000000000006'));
  expect([groups.length, unknownCount]).toEqual([1, 0]);
  const { details, address } = groups[0].finding;
  expect(address).toEqual({ value: 0xfd200000n, space: 'unknown' });
  expect(details[0][1]).toMatch(/^!devobj 0xffffa90d5a1d4060 /);
  expect(details.at(-1)).toEqual(['on Intel', expect.stringMatching(/VT-d's reason: .*read.*\(VT-d 7\.1\.3/i)]);
});

test('a type that VT-d has not is not called one of it', () => {
  const [{ finding }] = explain(text('00000000000000fe')).groups;
  expect(finding.details.map(([name]) => name)).toEqual(['device', 'fault type']);
});

test('other stops of the verifier are none of the IOMMU', () => {
  expect(explain('Arg1: 0000000000000003, freed too many DMA common buffers\n').groups).toEqual([]);
});
