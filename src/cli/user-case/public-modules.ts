/** What package.json's `exports` offers as code, each with its module under src/ (or dist/) without extension. A test holds the two together. */
export const PUBLIC_MODULES: Readonly<Record<string, string>> = Object.freeze({
  pinhole: 'index',
  'pinhole/bits': 'bits/index',
  'pinhole/machine': 'machine/index',
  'pinhole/explore': 'explore/index',
  'pinhole/guest': 'guest/index',
  'pinhole/cases': 'cases/index',
  'pinhole/vtd': 'iommu/vtd/index',
  'pinhole/smmuv3': 'iommu/smmuv3/index',
  'pinhole/iommufd': 'vmm/iommufd/index',
  'pinhole/decode': 'decode/index',
});

// A user's case must meet the very modules that run it, not a second copy of them: `.ts` in a checkout, `.js` in dist.
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/** The URL of the running module that `specifier` names, or null if the package does not export it. */
export function publicModuleUrl(specifier: string): string | null {
  if (!Object.hasOwn(PUBLIC_MODULES, specifier)) return null;
  return new URL(`../../${PUBLIC_MODULES[specifier]}${extension}`, import.meta.url).href;
}

/** Is it `pinhole` or below it? Whether that is exported is another question. */
export function isOwnSpecifier(specifier: string): boolean {
  return specifier === 'pinhole' || specifier.startsWith('pinhole/');
}
