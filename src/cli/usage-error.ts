/** Bad usage or bad input: exit status 2, and `message` is the one line that goes to standard error (what, where, how to mend). */
export class UsageError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message.replace(/\s*[\r\n]+\s*/g, ' ').trim(), options);
    this.name = 'UsageError';
  }
}
