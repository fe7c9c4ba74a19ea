// What goes wrong between a host and its guest, in one line that says what to do.

/** Exit statuses of the shell for what never ran. */
export const STATUS_FAILURE = 125;
export const STATUS_NOT_EXECUTABLE = 126;
export const STATUS_NOT_FOUND = 127;

export class VitrineError extends Error {
  override readonly name = "VitrineError";
  /** The status with which the command line ends. */
  readonly status: number;
  constructor(message: string, status: number = STATUS_FAILURE) {
    super(message);
    this.status = status;
  }
}
