/** What the layering rules need to know of a source: whom it imports, and its code without comments and strings. */
export interface Scan {
  readonly imports: readonly { readonly specifier: string; readonly line: number }[];
  /** The source with comments, strings, templates' text and regular expressions blanked; lines stay where they are. */
  readonly code: string;
}

/** After one of these a slash begins a regular expression, not a division. */
const BEFORE_REGEX = /(?:^|[=(,:;!&|?{}[+\-*%<>~^]|=>|\b(?:return|typeof|case|yield|throw|in|of|else|do))\s*$/;
const IMPORT_BEFORE_STRING = /(?:\bfrom|\bimport|\bimport\s*\(|\brequire\s*\()\s*$/;

export function scan(source: string): Scan {
  const imports: { specifier: string; line: number }[] = [];
  let code = '';
  let line = 1;
  let at = 0;
  // Each open `${` of a template, with the number of braces open inside it.
  const templates: number[] = [];

  const blank = (to: number): void => {
    for (; at < to; at++) {
      const newline = source[at] === '\n';
      if (newline) line++;
      code += newline ? '\n' : ' ';
    }
  };
  const until = (pattern: RegExp): number => {
    pattern.lastIndex = at;
    return pattern.test(source) ? pattern.lastIndex : source.length;
  };
  /** From a template's backtick, or from the brace that ends a `${…}`, to the next `${` or the closing backtick. */
  const templateText = (): void => {
    blank(at + 1);
    blank(until(/(?:\\[\s\S]|\$(?!\{)|[^\\`$])*(?:`|\$\{)/y));
    if (source[at - 1] === '{') templates.push(0);
  };

  while (at < source.length) {
    const c = source[at] as string;
    const next = source[at + 1];
    if (c === '/' && next === '/') blank(until(/.*/y));
    else if (c === '/' && next === '*') blank(until(/\/\*[\s\S]*?\*\//y));
    else if (c === "'" || c === '"') {
      const end = until(c === "'" ? /'(?:\\[\s\S]|[^\\'\n])*'?/y : /"(?:\\[\s\S]|[^\\"\n])*"?/y);
      if (IMPORT_BEFORE_STRING.test(code.slice(-200))) imports.push({ specifier: source.slice(at + 1, end - 1), line });
      blank(end);
    } else if (c === '`') templateText();
    else if (c === '/' && BEFORE_REGEX.test(code.slice(-200))) {
      blank(until(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*/y));
    } else if (c === '}' && templates.at(-1) === 0) {
      templates.pop();
      templateText();
    } else {
      const open = templates.length - 1;
      if (open >= 0 && c === '{') templates[open] = (templates[open] as number) + 1;
      if (open >= 0 && c === '}') templates[open] = (templates[open] as number) - 1;
      if (c === '\n') line++;
      code += c;
      at++;
    }
  }
  return { imports, code };
}
