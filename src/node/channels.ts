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
}

export function createQueueChannel(onOutput: (bytes: Uint8Array) => void): QueueChannel {
  const queue: Uint8Array[] = [];
  let queued = 0;
  let ended = false;
  let open = true;
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
    },
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
      return taken;
    },
    available: () => (queued === 0 && ended ? -1 : queued),
    write(bytes): void {
      if (open) onOutput(bytes.slice());
    },
    isOpen: () => open,
  };
}

/** An async iterable of byte chunks that is filled from outside. It holds what nobody has read yet. */
export interface ChunkStream extends AsyncIterable<Uint8Array> {
  push(bytes: Uint8Array): void;
  end(): void;
  /** Bytes that nobody has read yet. */
  readonly bufferedBytes: number;
}

export function createChunkStream(): ChunkStream {
  const chunks: Uint8Array[] = [];
  let buffered = 0;
  let ended = false;
  let wakeReader: (() => void) | undefined;
  const wake = (): void => {
    wakeReader?.();
    wakeReader = undefined;
  };
  async function* iterate(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = chunks.shift();
      if (chunk !== undefined) {
        buffered -= chunk.length;
        yield chunk;
      } else if (ended) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          wakeReader = resolve;
        });
      }
    }
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
    [Symbol.asyncIterator]: iterate,
  };
}
