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

export function writeStderr(text: string): void {
  hostStderr.write(text);
}

/** Room on both streams, for the machine's `drain`. */
export function waitForReaders(): Promise<void> | undefined {
  return hostStdout.room() ?? hostStderr.room();
}
