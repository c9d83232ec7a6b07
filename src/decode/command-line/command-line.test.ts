import { describe, expect, test } from 'vitest';
import { explain } from '../explainer.ts';
import { adviceOf } from './advice.ts';
import { commandLineFinding } from './lines.ts';
import { MEANT, PARAMETERS } from './parameters.ts';

const wrong = (line: string) =>
  adviceOf(line)
    .filter((advice) => advice.wrong)
    .map(({ says, what }) => `${what}: ${says}`);

test('every documented value is known, and nothing is wrong with it alone', () => {
  for (const { boolean, deprecated, name, values } of PARAMETERS)
    for (const value of Object.keys(values ?? {})) {
      const [advice, ...more] = adviceOf(`root=/dev/sda1 ${name}=${value} quiet`);
      expect(more).toEqual([]);
      expect(advice).toMatchObject({ what: `${name}=${value}`, wrong: false });
      expect(advice.says).toContain(values?.[value]);
      if (deprecated?.[value] !== undefined) expect(advice.says).toContain(`old: use ${deprecated[value]}`);
      if (boolean === true) expect(adviceOf(`${name}=${value === '1' ? 'y' : 'off'}`)[0].says).toBe(values?.[value]);
    }
});

test('what people write is no documented value', () => {
  for (const key of Object.keys(MEANT)) {
    const [name, value] = key.split('=');
    const parameter = PARAMETERS.find((known) => known.name === name);
    if (value === undefined) expect(parameter).toBeUndefined();
    else expect(Object.keys(parameter?.values ?? { [value]: '' })).not.toContain(value);
    expect(wrong(`${key}`)).toEqual([`${key}: ${MEANT[key]}`]);
  }
});

describe('misspelt and misplaced', () => {
  test.each([
    ['amd_iommu=pt', /^amd_iommu=pt: .*iommu=pt is meant/],
    ['intel_iommu=on,pt', /^intel_iommu=pt: .*iommu=pt is meant \(beside intel_iommu=on\)/],
    ['amd_iommu=on', /nothing is lost: AMD units are on by default/],
    ['iommu=on', /for Intel intel_iommu=on is meant/],
    ['intel_iomu=on', /^intel_iomu=on: no such parameter/],
    ['amdiommu=off', /no such parameter.*: amd_iommu/],
    ['iommu.passthru=1', /no such parameter.*: iommu.passthrough/],
    ['intel_iommu=igfx-off', /no such value, and it does nothing: igfx_off is meant/],
    ['amd_iommu=pgtbl_v3', /: pgtbl_v1 is meant/],
    ['iommu.strict=maybe', /no such value/],
    ['intel_iommu', /wants a value: on, off/],
    ['ivrs_ioapic=4:14.0', /^$/],
    ['ivrs_ioapic=four', /not of the form/],
    ['iommu=nodac', /it is ignored/],
    ['pcie_acs_override=downstream', /is of a patch/],
  ] as const)('%s', (line, expected) => {
    const said = wrong(line);
    if (expected.test('')) expect(said).toEqual([]);
    else {
      expect(said).toHaveLength(1);
      expect(said[0]).toMatch(expected);
    }
  });

  test('dashes in names are underscores', () => {
    expect(adviceOf('arm_smmu_v3.disable-bypass=0')).toMatchObject([{ wrong: false }]);
    expect(adviceOf('vfio-iommu-type1.allow-unsafe-interrupts=1')).toMatchObject([{ wrong: false }]);
  });

  test('a name alone is 1 of a module, and nothing of the kernel itself', () => {
    expect(adviceOf('vfio_iommu_type1.allow_unsafe_interrupts disable_ddw amd_iommu_dump')).toMatchObject([
      ...[{ wrong: false }, { wrong: false }, { wrong: false }],
    ]);
    expect(wrong('iommu.strict')).toEqual(['iommu.strict: wants a value: 0, 1']);
  });

  test('quotes, what is of init, what is of others', () => {
    expect(adviceOf('"intel_iommu=on" x="iommu=off y" -- amd_iommu=pt')).toEqual([
      { what: 'intel_iommu=on', says: 'turns VT-d units on', wrong: false },
    ]);
    expect(adviceOf('pci=realloc,noats,nommconf swiotlb=65536,force efi=debug')).toMatchObject([
      { what: 'pci=noats' },
      { what: 'swiotlb=65536' },
      { what: 'swiotlb=force' },
    ]);
    expect(adviceOf('quiet splash pci=realloc')).toEqual([]);
  });
});

describe('contradictions', () => {
  test.each([
    ['iommu.passthrough=1 iommu.strict=1', /^iommu.passthrough=1 iommu.strict=1: what is not translated/],
    ['iommu=pt iommu.passthrough=0', /the last one holds/],
    ['iommu=off intel_iommu=on', /the other does nothing/],
    ['iommu.strict=0 amd_iommu=fullflush', /strict wins/],
    ['intel_iommu=on intel_iommu=off', /the last one holds/],
    ['intel_iommu=on,sm_on,sm_off', /^intel_iommu=sm_on intel_iommu=sm_off/],
    ['iommu.forcedac=1 iommu.forcedac=n', /given with different values/],
    ['amd_iommu=off,force_enable', /off wins/],
  ] as const)('%s', (line, expected) => {
    const said = wrong(line);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(expected);
  });

  test.each([
    'intel_iommu=on iommu=pt',
    'intel_iommu=on,sm_on iommu.strict=1',
    'iommu=pt iommu.passthrough=1',
    'iommu.strict=1 iommu.strict=y',
  ])('none in %s', (line) => {
    expect(wrong(line)).toEqual([]);
  });
});

test('as a finding, and in a log', () => {
  expect(commandLineFinding('quiet')).toMatchObject({ severity: 'info', details: [] });
  expect(commandLineFinding('intel_iommu=on iommu=pt').severity).toBe('info');
  const { groups } = explain(
    '[    0.000000] Command line: console=ttyS0 amd_iommu=pt\n[    0.010000] Kernel command line: console=ttyS0 amd_iommu=pt\n[    0.1] Command line: quiet\n',
  );
  expect(groups).toHaveLength(1);
  expect(groups[0]).toMatchObject({ count: 2, finding: { kind: 'linux.command-line', severity: 'warning' } });
  expect(groups[0].finding.summary).toBe("the kernel's command line: amd_iommu=pt does not do what it says");
});

test('a long line is read in time', () => {
  const began = performance.now();
  adviceOf('a="'.repeat(50_000));
  adviceOf(`${'iommu'.repeat(2000)}=1 `.repeat(4));
  explain(`Command line: ${'iomm '.repeat(3000)}\n`);
  expect(performance.now() - began).toBeLessThan(20_000);
});
