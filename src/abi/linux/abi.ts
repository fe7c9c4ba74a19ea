// Where Linux's structures differ between architectures, as values: the kernel and the tracer read these, and compare no names.
//
//                  struct stat                struct epoll_event     struct sigaction
//   riscv64        asm-generic: 128 bytes     16 bytes, data at 8    handler, flags, mask
//   x86-64         its own: 144 bytes         packed: 12, data at 4  handler, flags, restorer, mask
//
// uapi asm-generic/stat.h, arch/x86 asm/stat.h, linux/eventpoll.h, asm-generic/signal.h, arch/x86 asm/signal.h.

/** What the kernel runs on, by the name that Linux's uname gives it. */
export type ArchitectureName = "riscv64" | "x86_64";

/** Offsets and widths of the fields of struct stat whose place differs; all others lie where stat.ts says. */
export interface StatLayout {
  readonly size: number;
  readonly nlinkOffset: number;
  readonly nlinkBytes: 4 | 8;
  readonly modeOffset: number;
  readonly uidOffset: number;
  readonly rdevOffset: number;
  readonly blockSizeBytes: 4 | 8;
}

/** struct epoll_event: u32 events at 0, then u64 data. */
export interface EpollEventLayout {
  readonly size: number;
  readonly dataOffset: number;
}

/** struct sigaction as rt_sigaction passes it: handler at 0, flags at 8. */
export interface SigactionLayout {
  readonly size: number;
  /** Where the program says what a handler returns to; undefined where that is the kernel's business. */
  readonly restorerOffset: number | undefined;
  readonly maskOffset: number;
}

export interface LinuxAbi {
  readonly stat: StatLayout;
  readonly epollEvent: EpollEventLayout;
  readonly sigaction: SigactionLayout;
}

export const RISCV64_ABI: LinuxAbi = {
  stat: {
    size: 128,
    nlinkOffset: 20,
    nlinkBytes: 4,
    modeOffset: 16,
    uidOffset: 24,
    rdevOffset: 32,
    blockSizeBytes: 4,
  },
  epollEvent: { size: 16, dataOffset: 8 },
  sigaction: { size: 24, restorerOffset: undefined, maskOffset: 16 },
};

export const X86_64_ABI: LinuxAbi = {
  stat: {
    size: 144,
    nlinkOffset: 16,
    nlinkBytes: 8,
    modeOffset: 24,
    uidOffset: 28,
    rdevOffset: 40,
    blockSizeBytes: 8,
  },
  epollEvent: { size: 12, dataOffset: 4 },
  sigaction: { size: 32, restorerOffset: 16, maskOffset: 24 },
};
