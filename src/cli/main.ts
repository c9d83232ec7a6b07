/** The command line (DESIGN §6). */
import type { ApplicationText } from '@stricli/core';
import {
  ArgumentScannerError,
  buildApplication,
  buildRouteMap,
  formatMessageForArgumentScannerError,
  run,
  text_en,
} from '@stricli/core';
import { benchCommand } from './commands/bench.ts';
import { checkCommand } from './commands/check.ts';
import { explainCommand } from './commands/explain.ts';
import { listCommand } from './commands/list.ts';
import { newCommand } from './commands/new.ts';
import { replayCommand } from './commands/replay.ts';
import { unknownName } from './nearest.ts';
import { INTERRUPTED } from './runner.ts';
import { UsageError } from './usage-error.ts';
import { VERSION } from './version.ts';

const COMMANDS = {
  check: checkCommand,
  list: listCommand,
  explain: explainCommand,
  bench: benchCommand,
  replay: replayCommand,
  new: newCommand,
};

const USAGE = 2;
const INTERNAL = 70;

/** The text of an error: ours in one line, a bug of our own with its stack. */
function errorText(error: unknown): string {
  if (error instanceof UsageError) return `pinhole: ${error.message}`;
  const stack = error instanceof Error ? error.stack : String(error);
  return `pinhole: internal error, please report it with this:\n${stack}`;
}

/** The message of the argument parser, in one line with our name before it. */
function parserText(error: unknown): string {
  const said =
    error instanceof ArgumentScannerError
      ? formatMessageForArgumentScannerError(error, {
          ArgumentParseError: ({ externalFlagNameOrPlaceholder: flag, input, exception }) =>
            `--${kebab(flag)} ${input}: ${(exception as Error).message}`,
          UnsatisfiedPositionalError: ({ placeholder }) => `${placeholder} is missing; name one`,
          UnexpectedPositionalError: ({ input, expectedCount }) =>
            `'${input}' is one too many; give only ${expectedCount}`,
        })
      : String(error);
  return `pinhole: ${said.split('\n')[0].replace(/\?$/, '')}; 'pinhole --help' tells the options`;
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Of several things that are wrong with a command line, the first is told. */
function textOnce(): ApplicationText {
  let said = false;
  return {
    ...text_en,
    exceptionWhileRunningCommand: errorText,
    exceptionWhileParsingArguments(error) {
      const text = said ? '' : parserText(error);
      said = true;
      return text;
    },
  };
}

/** Runs a command line without the program's name. @returns exit status */
export async function main(args: readonly string[]): Promise<number> {
  if (!process.stdout.listeners('error').includes(onBrokenPipe)) process.stdout.on('error', onBrokenPipe);
  process.on('exit', cutShort);
  try {
    return await runLine(args);
  } finally {
    process.removeListener('exit', cutShort);
  }
}

/** Somebody who reads only the beginning (`| head`) is no error. */
function onBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.removeListener('exit', cutShort);
  process.exit(0);
}

/** The process ends before the command has: a case of a user's called process.exit(), or waits for what never comes. */
function cutShort(status: number): void {
  if (status === INTERRUPTED) return;
  process.stderr.write(
    'pinhole: the case ended the process, or waits for ever while it is loaded; take process.exit() and such an await out\n',
  );
  process.exitCode = USAGE;
}

async function runLine(args: readonly string[]): Promise<number> {
  const [first] = args;
  if (first !== undefined && !first.startsWith('-') && !Object.hasOwn(COMMANDS, first)) {
    return refuse(unknownName('command', first, Object.keys(COMMANDS)));
  }
  const app = buildApplication(
    buildRouteMap({ routes: COMMANDS, docs: { brief: 'an IOMMU that you can run, question and break' } }),
    {
      name: 'pinhole',
      versionInfo: { currentVersion: VERSION },
      scanner: { caseStyle: 'allow-kebab-for-camel' },
      determineExitCode: (error) => (error instanceof UsageError ? USAGE : INTERNAL),
      localization: { loadText: textOnce },
    },
  );
  // The parser sets its own status; a command sets the process's.
  const { stdout, env } = process;
  const stderr = { write: (text: string) => text.trim() !== '' && process.stderr.write(text) };
  const context: { stdout: typeof stdout; stderr: typeof stderr; env: typeof env; exitCode: number | string | null } = {
    stdout,
    stderr,
    env,
    exitCode: null,
  };
  await run(app, args.length === 0 ? ['--help'] : args, { process: context });
  const status = Number(context.exitCode ?? 0);
  if (status !== 0) return status < 0 ? USAGE : status;
  return Number(process.exitCode ?? 0);
}

function refuse(message: string): number {
  process.stderr.write(`pinhole: ${message}\n`);
  return USAGE;
}
