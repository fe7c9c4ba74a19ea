// Calls of no larger family: prctl, arch_prctl, randomness, memory barriers, ports, hardware probing. prctl(2), arch_prctl(2),
// getrandom(2), membarrier(2), ioperm(2), iopl(2), Documentation/arch/riscv/hwprobe.rst.

import { virtAddr } from "../../lib/address.ts";
import { readI64, writeU64 } from "../../lib/bytes.ts";
import * as abi from "../../abi/linux/process.ts";
import { NSIG } from "../../abi/linux/signals.ts";
import { fillRandom } from "../fs/device-files.ts";
import { checkUserRange, copyFromUser, copyToUser, writeUser32, writeUser64 } from "../mem/user-memory.ts";
import { defineCall, type Call, type SyscallResult, type SyscallRow } from "./row.ts";

/** Bytes of a thread's name, with its NUL. */
const NAME_SIZE = 16;
/** Most bytes that one getrandom gives at a time; the rest is for the next call. */
const RANDOM_CHUNK = 1 << 20;

const prctl = defineCall({
  name: "prctl",
  args: [
    { name: "option", type: "int", show: "prctl" },
    { name: "arg2", type: "long" },
    { name: "arg3", type: "long" },
    { name: "arg4", type: "long" },
    { name: "arg5", type: "long" },
  ],
  result: "int",
  handler: (call, option, argument, second, third, fourth) => {
    const { k, thread, process } = call;
    switch (option) {
      case abi.PR_SET_NAME:
        return setName(call, argument);
      case abi.PR_GET_NAME: {
        const bytes = new Uint8Array(NAME_SIZE);
        for (let i = 0; i < Math.min(thread.name.length, NAME_SIZE - 1); i++) bytes[i] = thread.name.charCodeAt(i);
        return copyToUser(k, process.space, argument, bytes);
      }
      case abi.PR_SET_PDEATHSIG:
        if (argument < 0 || argument > NSIG) return "EINVAL";
        process.parentDeathSignal = argument;
        return 0;
      case abi.PR_GET_PDEATHSIG:
        return writeUser32(k, process.space, argument, process.parentDeathSignal);
      case abi.PR_GET_DUMPABLE:
        return process.dumpable ? 1 : 0;
      case abi.PR_SET_DUMPABLE:
        if (argument !== 0 && argument !== 1) return "EINVAL";
        process.dumpable = argument === 1;
        return 0;
      case abi.PR_SET_CHILD_SUBREAPER:
        process.childSubreaper = argument !== 0;
        return 0;
      case abi.PR_GET_CHILD_SUBREAPER:
        return writeUser32(k, process.space, argument, process.childSubreaper ? 1 : 0);
      case abi.PR_SET_NO_NEW_PRIVS:
        if (argument !== 1) return "EINVAL";
        process.noNewPrivileges = true;
        return 0;
      case abi.PR_GET_NO_NEW_PRIVS:
        return process.noNewPrivileges ? 1 : 0;
      case abi.PR_GET_TID_ADDRESS:
        return writeUser64(k, process.space, argument, thread.clearChildTid);
      case abi.PR_GET_KEEPCAPS:
      case abi.PR_SET_KEEPCAPS:
      case abi.PR_GET_SECCOMP:
      case abi.PR_SET_THP_DISABLE:
      case abi.PR_GET_THP_DISABLE:
      case abi.PR_SET_TIMERSLACK:
        return 0;
      case abi.PR_GET_TIMERSLACK:
        return 50_000;
      case abi.PR_SET_MDWE:
        return second === 0 && third === 0 && fourth === 0 ? refuseExecGain(call, argument) : "EINVAL";
      case abi.PR_GET_MDWE:
        if (argument !== 0 || second !== 0 || third !== 0 || fourth !== 0) return "EINVAL";
        return EXEC_GAIN_BITS[process.space.executeGain];
      case abi.PR_CAPBSET_READ:
        return argument < 0 || argument > 40 ? "EINVAL" : 1;
      default:
        return "EINVAL";
    }
  },
});

const EXEC_GAIN_BITS = {
  allowed: 0,
  refused: abi.MDWE_REFUSE_EXEC_GAIN,
  "refused-here": abi.MDWE_REFUSE_EXEC_GAIN | abi.MDWE_NO_INHERIT,
} as const;

/** PR_SET_MDWE(2const): once set, it stays as it is. */
function refuseExecGain({ process: { space } }: Call, bits: number): SyscallResult {
  const before = EXEC_GAIN_BITS[space.executeGain];
  if ((bits & ~(abi.MDWE_REFUSE_EXEC_GAIN | abi.MDWE_NO_INHERIT)) !== 0 || bits === abi.MDWE_NO_INHERIT)
    return "EINVAL";
  if (before !== 0 && before !== bits) return "EPERM";
  if (bits !== 0) space.executeGain = (bits & abi.MDWE_NO_INHERIT) === 0 ? "refused" : "refused-here";
  return 0;
}

function setName(call: Call, at: number): SyscallResult {
  const { k, thread, process } = call;
  // The first 15 bytes count, whether or not a NUL follows them.
  let name = "";
  while (name.length < NAME_SIZE - 1) {
    const byte = copyFromUser(k, process.space, at + name.length, 1);
    if (byte === "EFAULT") return "EFAULT";
    if (byte[0] === 0) break;
    name += String.fromCharCode(byte[0] ?? 0);
  }
  thread.name = name;
  if (thread.tid === process.pid) process.name = name;
  return 0;
}

const getrandom = defineCall({
  name: "getrandom",
  args: [
    { name: "buf", type: "pointer", show: "buffer:out:RESULT" },
    { name: "buflen", type: "size" },
    { name: "flags", type: "flags", show: "getrandom" },
  ],
  result: "size",
  handler: ({ k, process }, at, length, flags) => {
    const known = abi.GRND_NONBLOCK | abi.GRND_RANDOM | abi.GRND_INSECURE;
    if (
      (flags & ~known) !== 0 ||
      (flags & (abi.GRND_RANDOM | abi.GRND_INSECURE)) === (abi.GRND_RANDOM | abi.GRND_INSECURE)
    ) {
      return "EINVAL";
    }
    const bytes = new Uint8Array(Math.min(length, RANDOM_CHUNK));
    if (checkUserRange(k, process.space, at, bytes.length, "write") !== 0) return "EFAULT";
    fillRandom(k, bytes);
    copyToUser(k, process.space, at, bytes);
    return bytes.length;
  },
});

/** Execution domains: only PER_LINUX and its flag bits are kept and given back. */
const personality = defineCall({
  name: "personality",
  args: [{ name: "persona", type: "uint" }],
  result: "int",
  handler: ({ process }, persona) => {
    const before = process.personality;
    if (persona !== 0xffff_ffff) process.personality = persona;
    return before;
  },
});

/** Harts see each other's stores in order (they take turns), so every barrier is already done. */
const membarrier = defineCall({
  name: "membarrier",
  args: [
    { name: "cmd", type: "int", show: "membarrier" },
    { name: "flags", type: "flags" },
    { name: "cpu_id", type: "int" },
  ],
  result: "int",
  handler: (_call, command, flags) => {
    const supported =
      abi.MEMBARRIER_CMD_GLOBAL |
      abi.MEMBARRIER_CMD_GLOBAL_EXPEDITED |
      abi.MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |
      abi.MEMBARRIER_CMD_PRIVATE_EXPEDITED |
      abi.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
    if (flags !== 0) return "EINVAL";
    if (command === abi.MEMBARRIER_CMD_QUERY) return supported;
    return (command & supported) === command && (command & (command - 1)) === 0 ? 0 : "EINVAL";
  },
});

/** The bases of FS and GS. Other codes ask for features that no processor here has. */
const archPrctl = defineCall({
  name: "arch_prctl",
  args: [
    { name: "option", type: "int", show: "arch_prctl" },
    { name: "addr", type: "pointer" },
  ],
  result: "int",
  handler: ({ k, thread, process }, option, address) => {
    const bases = k.arch.segmentBases;
    if (bases === undefined) return "ENOSYS";
    const segment = option === abi.ARCH_SET_FS || option === abi.ARCH_GET_FS ? "fs" : "gs";
    switch (option) {
      case abi.ARCH_SET_FS:
      case abi.ARCH_SET_GS:
        if (!(address >= 0 && address < k.arch.layout.userTop)) return "EPERM";
        bases.write(k, thread, segment, virtAddr(address));
        return 0;
      case abi.ARCH_GET_FS:
      case abi.ARCH_GET_GS:
        return writeUser64(k, process.space, address, bases.read(k, thread, segment));
      case abi.ARCH_GET_CPUID:
        return 1;
      case abi.ARCH_SET_CPUID:
        return "ENODEV";
      default:
        return "EINVAL";
    }
  },
});

/** Ports are the kernel's: no program gets at them, whoever runs it. */
const iopl = defineCall({
  name: "iopl",
  args: [{ name: "level", type: "uint" }],
  result: "int",
  handler: (_call, level) => (level > 3 ? "EINVAL" : level === 0 ? 0 : "EPERM"),
});

const PORTS = 65536;

const ioperm = defineCall({
  name: "ioperm",
  args: [
    { name: "from", type: "ulong" },
    { name: "num", type: "ulong" },
    { name: "turn_on", type: "int" },
  ],
  result: "int",
  handler: (_call, from, count, turnOn) => {
    if (count === 0 || from + count > PORTS) return "EINVAL";
    return turnOn === 0 ? 0 : "EPERM";
  },
});

/** Instruction memory is coherent on this machine: nothing is left to do. */
const riscvFlushIcache = defineCall({
  name: "riscv_flush_icache",
  args: [
    { name: "start", type: "pointer" },
    { name: "end", type: "pointer" },
    { name: "flags", type: "ulong" },
  ],
  result: "int",
  handler: (_call, _start, _end, flags) => (flags > 1 ? "EINVAL" : 0),
});

/** Bits of key 4, RISCV_HWPROBE_KEY_IMA_EXT_0. */
const EXTENSIONS = { floatingPoint: 1 << 0, compressed: 1 << 1, zba: 1 << 3, zbb: 1 << 4, zbs: 1 << 5 };

/** Keys of riscv_hwprobe and what this machine answers. */
const HWPROBE_VALUES: ReadonlyMap<number, number> = new Map([
  [0, 0], // mvendorid
  [1, 0], // marchid
  [2, 0], // mimpid
  [3, 1], // base behaviour: IMA
  [4, Object.values(EXTENSIONS).reduce((bits, bit) => bits | bit, 0)],
  [5, 3], // misaligned scalar accesses are fast
]);
const HWPROBE_PAIR_SIZE = 16;
const MAX_HWPROBE_PAIRS = 256;

const riscvHwprobe = defineCall({
  name: "riscv_hwprobe",
  args: [
    { name: "pairs", type: "pointer" },
    { name: "pair_count", type: "size" },
    { name: "cpusetsize", type: "size" },
    { name: "cpus", type: "pointer" },
    { name: "flags", type: "flags" },
  ],
  result: "int",
  handler: ({ k, process }, at, count, _size, _cpus, flags) => {
    if (flags !== 0 || count > MAX_HWPROBE_PAIRS) return "EINVAL";
    const bytes = copyFromUser(k, process.space, at, count * HWPROBE_PAIR_SIZE);
    if (bytes === "EFAULT") return "EFAULT";
    for (let i = 0; i < count; i++) {
      const key = readI64(bytes, i * HWPROBE_PAIR_SIZE);
      const value = HWPROBE_VALUES.get(key);
      // An unknown key is answered with key -1.
      writeU64(bytes, i * HWPROBE_PAIR_SIZE, value === undefined ? -1 : key);
      writeU64(bytes, i * HWPROBE_PAIR_SIZE + 8, value ?? 0);
    }
    return copyToUser(k, process.space, at, bytes);
  },
});

/** The kernel log goes to the host; programs find it empty. syslog(2). */
const syslog = defineCall({
  name: "syslog",
  args: [
    { name: "type", type: "int" },
    { name: "bufp", type: "pointer" },
    { name: "len", type: "int" },
  ],
  result: "int",
  handler: (_call, type) => (type >= 0 && type <= 10 ? 0 : "EINVAL"),
});

export const miscCalls: readonly SyscallRow[] = [
  prctl,
  archPrctl,
  iopl,
  ioperm,
  getrandom,
  personality,
  membarrier,
  riscvFlushIcache,
  riscvHwprobe,
  syslog,
];
