/** What can be wrong with a program; the message says what, and how to mend it. */
export class ProgramError extends Error {
  readonly actor: string;
  /** Name of the last operation before the trouble, null if there was none. */
  readonly operation: string | null;
  /** What the program threw, if it threw. */
  readonly thrown: unknown;
  /** The program, suspended where the trouble is or at the operation before; its function, where it has had none. */
  readonly suspended: object | null;

  constructor(
    actor: string,
    operation: string | null,
    message: string,
    at: { thrown?: unknown; suspended?: object } = {},
  ) {
    super(message);
    this.name = 'ProgramError';
    this.actor = actor;
    this.operation = operation;
    this.thrown = at.thrown;
    this.suspended = at.suspended ?? null;
  }
}
