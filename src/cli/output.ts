// Writing to the host's stdout and stderr, when their reader is slow or has gone away.
//
// Slow: `room` is awaited between slices of the machine, which stands still meanwhile. Gone (EPIPE): no failure of ours; what is
// written is dropped, and whoever produces it is told.

export interface HostOutput {
  readonly write: (bytes: Uint8Array | string) => void;
  /** Resolves when the reader has caught up; undefined where nothing need be waited for. */
  room(): Promise<void> | undefined;
  /** Calls the listener once, when the reader has gone away. */
  onClosed(listener: () => void): void;
}

/** Bytes that may wait for a slow reader. Little on a terminal: it would go on printing long after a ^C. */
const PIPE_LIMIT = 1 << 20;
const TERMINAL_LIMIT = 1 << 14;

function createOutput(stream: NodeJS.WriteStream): HostOutput {
  const limit = stream.isTTY === true ? TERMINAL_LIMIT : PIPE_LIMIT;
  let open = true;
  let waiting: Promise<void> | undefined;
  const listeners: (() => void)[] = [];
  stream.on("error", () => {
    if (!open) return;
    open = false;
    for (const listener of listeners) listener();
  });
  return {
    write(bytes): void {
      if (open) stream.write(bytes);
    },
    room(): Promise<void> | undefined {
      if (!open || stream.writableLength < limit || !stream.writableNeedDrain) return undefined;
      waiting ??= new Promise<void>((resolve) => {
        stream.once("drain", resolve);
        stream.once("error", () => resolve());
      }).then(() => {
        waiting = undefined;
      });
      return waiting;
    },
    onClosed(listener): void {
      listeners.push(listener);
      if (!open) listener();
    },
  };
}

export const hostStdout: HostOutput = createOutput(process.stdout);
export const hostStderr: HostOutput = createOutput(process.stderr);

/** Columns of the terminal, or where there is none of a page. */
export function hostWidth(stream: NodeJS.WriteStream): number {
  const columns = stream.isTTY === true && stream.columns > 0 ? stream.columns : PAGE_WIDTH; // 0: it does not know
  return Math.max(LEAST_WIDTH, Math.min(MOST_WIDTH, columns));
}

export const PAGE_WIDTH = 120;
export const LEAST_WIDTH = 40;
export const MOST_WIDTH = 400;

/** Whether it is a terminal whose user has not said no to colours (https://no-color.org). */
export function wantsColour(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && (process.env["NO_COLOR"] ?? "") === "";
}

export function writeStderr(text: string): void {
  hostStderr.write(text);
}

/** Room on both streams, for the machine's `drain`. */
export function waitForReaders(): Promise<void> | undefined {
  return hostStdout.room() ?? hostStderr.room();
}
