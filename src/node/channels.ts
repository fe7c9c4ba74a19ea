// Host streams as the kernel's ports see them (kernel/host.ts): queues that JavaScript fills and empties.

import type { HostChannel } from "../kernel/host.ts";

/** A channel whose two ends are in JavaScript: the guest reads what was pushed, and what it writes is handed to `onOutput`. */
export interface QueueChannel extends HostChannel {
  /** Appends input. Ignored after `end`. */
  push(bytes: Uint8Array): void;
  /** Marks the end of input: once the queue is empty, reads give end of file. */
  end(): void;
  /** The reading side is gone: writes fail with EPIPE from now on. */
  close(): void;
  /** Bytes that wait to be read by the guest. */
  readonly queuedBytes: number;
  /** Resolves when fewer than QUEUE_LIMIT bytes wait, or the channel is closed. */
  drained(): Promise<void>;
}

/** Bytes of input beyond which a writer is asked to wait. */
export const QUEUE_LIMIT = 1 << 20;

export function createQueueChannel(onOutput: (bytes: Uint8Array) => void): QueueChannel {
  const queue: Uint8Array[] = [];
  let queued = 0;
  let ended = false;
  let open = true;
  let waiting: (() => void)[] = [];
  const release = (): void => {
    for (const resolve of waiting) resolve();
    waiting = [];
  };
  return {
    push(bytes): void {
      if (ended || bytes.length === 0) return;
      queue.push(bytes.slice());
      queued += bytes.length;
    },
    end(): void {
      ended = true;
    },
    close(): void {
      open = false;
      release();
    },
    drained: () =>
      queued < QUEUE_LIMIT || !open ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve)),
    get queuedBytes(): number {
      return queued;
    },
    read(limit): Uint8Array | undefined {
      const first = queue[0];
      if (first === undefined) return ended ? new Uint8Array() : undefined;
      const taken = first.subarray(0, limit);
      if (taken.length === first.length) queue.shift();
      else queue[0] = first.subarray(limit);
      queued -= taken.length;
      if (queued < QUEUE_LIMIT && waiting.length > 0) release();
      return taken;
    },
    available: () => (queued === 0 && ended ? -1 : queued),
    write(bytes): void {
      if (open) onOutput(bytes.slice());
    },
    isOpen: () => open,
  };
}

/** Output of a program: an async iterable of byte chunks. It holds what nobody has read yet. */
export interface ChunkStream extends AsyncIterable<Uint8Array> {
  /** Bytes that nobody has read yet. Beyond STREAM_LIMIT the machine stands still until somebody reads. */
  readonly bufferedBytes: number;
  /** All of it, to the end. */
  bytes(): Promise<Uint8Array>;
  /** All of it, to the end, as UTF-8. */
  text(): Promise<string>;
}

/** A chunk stream from the side that fills it. */
export interface FillableStream extends ChunkStream {
  push(bytes: Uint8Array): void;
  end(): void;
  /** Undefined while there is room; else a promise that resolves when there is. */
  room(): Promise<void> | undefined;
}

/** Bytes of output that may wait for a reader. */
export const STREAM_LIMIT = 16 << 20;

/** Makes a stream. `onAbandoned` is called when a reader leaves its loop before the end. */
export function createChunkStream(onAbandoned: () => void = () => undefined): FillableStream {
  const chunks: Uint8Array[] = [];
  let buffered = 0;
  let ended = false;
  let wakeReader: (() => void) | undefined;
  let wakeWriter: (() => void) | undefined;
  let hasRoom: Promise<void> | undefined;
  const wake = (): void => {
    wakeReader?.();
    wakeReader = undefined;
  };
  function giveRoom(): void {
    wakeWriter?.();
    wakeWriter = undefined;
    hasRoom = undefined;
  }
  async function* iterate(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = chunks.shift();
        if (chunk !== undefined) {
          buffered -= chunk.length;
          if (buffered < STREAM_LIMIT) giveRoom();
          yield chunk;
        } else if (ended) {
          return;
        } else {
          await new Promise<void>((resolve) => {
            wakeReader = resolve;
          });
        }
      }
    } finally {
      if (!ended) abandon();
    }
  }
  function abandon(): void {
    ended = true;
    chunks.length = 0;
    buffered = 0;
    giveRoom();
    onAbandoned();
  }
  async function bytes(): Promise<Uint8Array> {
    const all: Uint8Array[] = [];
    for await (const chunk of iterate()) all.push(chunk);
    return Buffer.concat(all);
  }
  return {
    push(bytes): void {
      if (ended) return;
      chunks.push(bytes);
      buffered += bytes.length;
      wake();
    },
    end(): void {
      ended = true;
      wake();
    },
    get bufferedBytes(): number {
      return buffered;
    },
    room(): Promise<void> | undefined {
      if (buffered < STREAM_LIMIT) return undefined;
      hasRoom ??= new Promise((resolve) => {
        wakeWriter = resolve;
      });
      return hasRoom;
    },
    bytes,
    text: async () => Buffer.from(await bytes()).toString("utf8"),
    [Symbol.asyncIterator]: iterate,
  };
}
