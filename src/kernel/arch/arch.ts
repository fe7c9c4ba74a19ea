// The only door between the kernel and an architecture. kernel/arch/riscv64 and its twin each export one `Arch`, file for file:
//
//   paging.ts    the page-table format        boot.ts     machine code from reset to the kernel's entry
//   trap.ts      usertrap … usertrapret       trampoline.ts  uservec, userret, kernelvec as machine code
//   context.ts   registers of a thread        signal-frame.ts  what a handler finds on its stack
//   devices.ts   interrupt controller, console UART's registers     narration.ts  its words for what tracers tell
//
// Nothing outside this folder names an architecture.

import type { ArchitectureName, LinuxAbi } from "../../abi/linux/abi.ts";
import type { FrameNumber, VirtAddr } from "../../lib/address.ts";
import type { Hart, TlbEntry } from "../../machine/hart.ts";
import type { Kernel } from "../kernel.ts";
import type { Protection } from "../mem/types.ts";
import type { SignalAction, SignalInfo, SignalSet, Thread } from "../process/types.ts";
import type { SyscallRow } from "../syscall/row.ts";

export interface Arch {
  readonly name: ArchitectureName;
  /** e_machine of the ELF files it runs. */
  readonly elfMachine: number;
  /** uname's machine field, and AT_PLATFORM. */
  readonly machineName: string;
  /** Where the structures of its system calls differ from another's. */
  readonly abi: LinuxAbi;
  /** What the processor adds to the auxiliary vector, as (type, value) pairs: AT_HWCAP and its kin, AT_MINSIGSTKSZ. */
  readonly auxv: readonly number[];
  /** 32-bit words of `Thread.floatState`. */
  readonly floatStateWords: number;
  readonly format: PageTableFormat;
  readonly layout: AddressLayout;
  /** System-call number, as `readSyscall` gives it -> row. */
  readonly systemCalls: ReadonlyMap<number, SyscallRow>;
  /** The text of /proc/cpuinfo. */
  readonly cpuInfo: (k: Kernel) => string;

  // Registers of a thread that is in the kernel: they lie in its trapframe.
  /**
   * Fills `args` with 6 raw arguments as (lo, hi) pairs and returns the call number. A second entry with numbers of its own
   * (x86-64's `int 0x80`) gives them from COMPATIBLE_CALLS on (syscall/table.ts).
   */
  readSyscall(k: Kernel, thread: Thread, args: Int32Array): number;
  /** Stores a call's result (already negated errno for failures). */
  setSyscallResult(k: Kernel, thread: Thread, value: number): void;
  /** Steps the saved program counter past the system-call instruction; the counterpart of leaving it there to restart. */
  advancePastSyscall(k: Kernel, thread: Thread): void;
  programCounter(k: Kernel, thread: Thread): number;
  stackPointer(k: Kernel, thread: Thread): number;
  /** Fresh user registers after execve: pc, sp, everything else zero. */
  startProgram(k: Kernel, thread: Thread, entry: VirtAddr, stack: VirtAddr): void;
  /** The child's registers after fork or clone: the parent's, result 0, with an own stack and TLS if given. */
  copyRegisters(k: Kernel, from: Thread, to: Thread, change: { stack?: number; tls?: number }): void;
  /** The base addresses that arch_prctl reads and sets; absent where segments have none. */
  readonly segmentBases?: SegmentBases;
  /** Named registers for reports, /proc and tracers, in the manual's order; values as 16 hex digits. */
  registers(k: Kernel, thread: Thread): { name: string; value: string }[];

  // For people.
  /** Names of calls by number, as in `systemCalls`; of those without a row too. */
  readonly callNames: ReadonlyMap<number, string>;
  /** Registers of a hart as it is now, system registers included; values as 16 hex digits. */
  hartRegisters(k: Kernel, hart: number): { name: string; value: string }[];
  /** A trap cause in the manual's words. */
  describeCause(cause: number, interrupt: boolean): string;
  /** How tracers tell of its traps and of start-up. */
  readonly narration: Narration;
  /** The trapframe's 64-bit fields, by offset. */
  readonly trapframeFields: readonly { readonly name: string; readonly offset: number }[];
  /** Makes a hart fault in kernel text when it next runs: the way into the panic report, for the monitor's `fault`. */
  provokeFault(k: Kernel, hart: number): void;

  /** Builds the frame on the user stack and points the registers at the handler. False when the stack cannot be written. */
  pushSignalFrame(
    k: Kernel,
    thread: Thread,
    signal: number,
    action: SignalAction,
    info: SignalInfo,
    mask: SignalSet,
  ): boolean;
  /** rt_sigreturn: restores registers and the alternate stack, and returns the mask to restore; undefined for a corrupt frame. */
  popSignalFrame(k: Kernel, thread: Thread): SignalSet | undefined;

  // Harts.
  /** Leaves the kernel on `hart` into `thread`, whose space is the hart's: usertrapret, then userret in machine code. */
  resumeUser(k: Kernel, hart: number, thread: Thread): void;
  /** Leaves the kernel on `hart` into the idle loop (wfi with interrupts enabled). */
  resumeIdle(k: Kernel, hart: number): void;
  /** Asks another hart to take an inter-processor interrupt. */
  sendInterprocessorInterrupt(k: Kernel, hart: number): void;
  /** Start-up: the interrupts of the devices that the kernel drives reach hart 0. */
  initializeDevices(k: Kernel): void;
  /** The registers of the console's 16550 UART. */
  readonly consoleUart: RegisterWindow;
  /** Claims every device interrupt that is pending for the hart, calls its driver, and completes it. */
  serveDevices(k: Kernel, hart: number): void;
  /** Arms the hart's timer for an absolute virtual time; undefined disarms it. */
  setTimer(k: Kernel, hart: number, atNs: number | undefined): void;
  /** Drops translations on `hart`: of one page or all (undefined), of one ASID or all (undefined). */
  flushTlb(k: Kernel, hart: number, address: VirtAddr | undefined, asid: number | undefined): void;
  /** Largest usable ASID. */
  readonly maxAsid: number;
  /** The tables that a TLB entry's translation comes from: their root and ASID; undefined where translation is off. */
  tablesOf(entry: TlbEntry): { readonly root: FrameNumber; readonly asid: number } | undefined;
}

/** A step of the path into the kernel and back, as tracers show it. */
export type NarratedStep = "trap" | "usertrap" | "usertrapret";

/** The architecture's own words for what tracers tell. */
export interface Narration {
  /** The nearest symbol of the kernel image at or below an address, as "uservec+0x10"; undefined outside. */
  symbolize(address: number): string | undefined;
  /** User mode as `Hart.privilege` has it. */
  readonly userPrivilege: number;
  /** "U", "S"; "ring 3", "ring 0". */
  privilegeName(privilege: number): string;
  /** The register that selects the page tables, and what a value of it says. */
  readonly spaceRegister: string;
  describeSpace(hi: number, lo: number): string;
  /** What the manual calls the number that tells the translations of spaces apart. */
  readonly asidName: string;
  /** The state in which a hart begins, before its first instruction. */
  describeReset(hart: Hart): string;
  /** A return that is a step of start-up, in words; undefined for all others. */
  describeStartupReturn(hart: Hart, from: number): string | undefined;
  /** What came: "ecall", "syscall", "int 0x80", "exception", "interrupt". */
  nameTrap(cause: number, interrupt: boolean): string;
  /** By which number it came, and what that means: "cause 8 (…)", "vector 14 (…)"; undefined where it has none. */
  describeTrap(cause: number, interrupt: boolean): string | undefined;
  /** What the value is that the hart reports beside an exception: "stval"; "cr2", "error code". */
  valueName(cause: number): string;
  /** The instruction that has just gone back from `from`. */
  nameReturn(hart: Hart, from: number): string;
  /** Which of the hart's registers tell of a step, by their names in `hartRegisters`; one that is not there is left out. */
  registersAt(step: NarratedStep, cause: number, interrupt: boolean): readonly string[];
  /** What the code before usertrap does that no register shows, and what userret restores. */
  readonly saves: string;
  readonly restores: string;
}

/** Registers of a device, one byte wide, by number: memory-mapped or behind ports. */
export interface RegisterWindow {
  load(k: Kernel, register: number): number;
  store(k: Kernel, register: number, value: number): void;
}

/** FS and GS of a thread that is in the kernel. */
export interface SegmentBases {
  read(k: Kernel, thread: Thread, segment: "fs" | "gs"): number;
  write(k: Kernel, thread: Thread, segment: "fs" | "gs", address: VirtAddr): void;
}

/** Where things lie in every address space. */
export interface AddressLayout {
  /** End (exclusive) of what programs may map: the trapframe slots and the trampoline lie above. */
  readonly userTop: VirtAddr;
  readonly trampoline: VirtAddr;
  /** Trapframe slot 0; slot n lies n pages below. */
  readonly trapframe: VirtAddr;
  readonly trapframeSlots: number;
  /** Page with the signal-return code, mapped in every process. */
  readonly vdso: VirtAddr;
  /** Start of the kernel's range (K12), where physical memory is mapped linearly. */
  readonly directMap: VirtAddr;
  /** Stack top for a new program. */
  readonly stackTop: VirtAddr;
  /** Top of the top-down mmap area. */
  readonly mmapTop: VirtAddr;
  /** Where MAP_32BIT puts a mapping; absent where the ABI has no such flag. */
  readonly lowMappings?: { readonly start: VirtAddr; readonly end: VirtAddr };
  /** Base for position-independent programs. */
  readonly pieBase: VirtAddr;
  /** Pages that layout randomisation moves things by at most: powers of two, as Linux has them for this width of addresses. */
  readonly randomPages: { readonly mappings: number; readonly stack: number; readonly heap: number };
}

/** What a PTE's two words say. */
export type PteView =
  | { readonly kind: "vacant" }
  | { readonly kind: "table"; readonly frame: FrameNumber }
  | { readonly kind: "leaf"; readonly frame: FrameNumber; readonly flags: PteFlags };

export interface PteFlags extends Protection {
  readonly user: boolean;
  readonly global: boolean;
  readonly accessed: boolean;
  readonly dirty: boolean;
}

/** One level of a format's tables. */
export interface PageTableLevel {
  /** Where its index begins in a virtual address. */
  readonly shift: number;
  /** Bytes that one entry covers: 2 ** shift. */
  readonly size: number;
  readonly leafAllowed: boolean;
  /** What a leaf covers, in words. */
  readonly name: string;
  /** What the manual calls a table of this level. */
  readonly tableName: string;
}

/**
 * A page-table format as data and pure functions on a PTE's two 32-bit words. One editor (mem/page-table.ts) serves them all.
 * Levels count from 0 (leaf tables, 4-KiB pages) upwards.
 */
export interface PageTableFormat {
  readonly name: string;
  /** Width of a virtual address: 39, 48. */
  readonly virtualBits: number;
  /** For each level: how far the address is shifted for its index, and whether a leaf may stand there. */
  readonly levels: readonly PageTableLevel[];
  readonly entriesPerTable: 512;
  view(hi: number, lo: number, level: number): PteView;
  /** Hot path: the frame number of a table or leaf PTE, without allocation. */
  frame(hi: number, lo: number): FrameNumber;
  /** Whether a page that may be executed can always be read too (x86-64), so that its region may be. */
  readonly executeImpliesRead: boolean;
  /** Bit of the low word that lets a leaf be written. */
  readonly writeBit: number;
  isValid(hi: number, lo: number): boolean;
  isLeaf(hi: number, lo: number, level: number): boolean;
  /** Whether a leaf PTE lets user mode do `access`. */
  allowsUser(hi: number, lo: number, access: "read" | "write" | "execute"): boolean;
  /** Encodes; the words are returned through `out` (out[0] = lo, out[1] = hi). */
  encodeTable(frame: FrameNumber, user: boolean, out: Int32Array): void;
  encodeLeaf(frame: FrameNumber, flags: PteFlags, level: number, out: Int32Array): void;
  /** Flag letters as the field prints them, e.g. "VRWXUGAD". */
  flagLetters(hi: number, lo: number, level: number): string;
}
