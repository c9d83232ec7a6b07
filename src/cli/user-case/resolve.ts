import { existsSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, extname, isAbsolute, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isOwnSpecifier, PUBLIC_MODULES, publicModuleUrl } from './public-modules.ts';

/** What an import of a user's file leads to: another file of the user's, a URL that Node loads by itself, or a refusal. */
export type Target =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'refused'; readonly what: string; readonly mend: string };

const LOADABLE = ['.ts', '.mts', '.js', '.mjs'];

export function isLoadable(path: string): boolean {
  return LOADABLE.includes(extname(path));
}

export function resolveImport(specifier: string, importer: string): Target {
  if (isOwnSpecifier(specifier)) return ownModule(specifier);
  if (/^\.{0,2}\//.test(specifier) || specifier.startsWith('file:') || isAbsolute(specifier))
    return usersFile(specifier, importer);
  if (specifier.startsWith('data:')) return { kind: 'url', url: specifier };
  if (isBuiltin(specifier))
    return { kind: 'url', url: specifier.startsWith('node:') ? specifier : `node:${specifier}` };
  return otherPackage(specifier, importer);
}

function ownModule(specifier: string): Target {
  const url = publicModuleUrl(specifier);
  if (url !== null) return { kind: 'url', url };
  const choice = Object.keys(PUBLIC_MODULES).join(', ');
  return { kind: 'refused', what: `'${specifier}' is not a module of pinhole`, mend: `import one of ${choice}` };
}

function usersFile(specifier: string, importer: string): Target {
  const path = specifier.startsWith('file:') ? fileURLToPath(specifier) : resolve(dirname(importer), specifier);
  if (existsSync(path) && extname(path) !== '') {
    return isLoadable(path) ? { kind: 'file', path } : { kind: 'url', url: pathToFileURL(path).href };
  }
  const what = `cannot find the import '${specifier}'`;
  const stem = specifier.replace(/\.m?js$/, '');
  for (const extension of LOADABLE) {
    const better = stem + extension;
    if (better !== specifier && existsSync(resolve(dirname(importer), better))) {
      return { kind: 'refused', what, mend: `write '${better}', with the file's own extension` };
    }
  }
  return { kind: 'refused', what, mend: 'mend the path or make that file' };
}

function otherPackage(specifier: string, importer: string): Target {
  try {
    return { kind: 'url', url: pathToFileURL(createRequire(importer).resolve(specifier)).href };
  } catch (error) {
    const { code } = error as { code?: string };
    const what = `cannot resolve the import '${specifier}'`;
    if (code === 'ERR_PACKAGE_PATH_NOT_EXPORTED') {
      return {
        kind: 'refused',
        what,
        mend: 'that package does not export it to require(); import its file by a relative path',
      };
    }
    return { kind: 'refused', what, mend: `install it beside ${dirname(importer)}, or mend its name` };
  }
}
