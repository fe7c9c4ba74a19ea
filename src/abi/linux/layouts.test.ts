// The structures and tables against facts of the manuals, spot-checked by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readI32, readI64, readU16, readU32 } from "../../lib/bytes.ts";
import { invertCalls } from "./call-numbers.ts";
import { RISCV64_CALLS } from "./calls-riscv64.ts";
import { X86_64_CALLS } from "./calls-x86_64.ts";
import {
  decodeSigaction,
  decodeSiginfo,
  encodeRlimit,
  decodeRlimit,
  encodeSigaction,
  encodeSiginfo,
} from "./process-layouts.ts";
import { defaultAction, SIGNALS, signalName } from "./signals.ts";
import { RISCV64_ABI, X86_64_ABI } from "./abi.ts";
import { deviceMajor, deviceMinor, encodeDirent64, encodeStat, makeDevice } from "./stat.ts";
import { decodeTimespec, decodeTimeval, encodeTimespec, totalNanoseconds } from "./time.ts";

test("call numbers have known values at both ends of each run", () => {
  for (const [name, number] of [
    ["io_setup", 0],
    ["fcntl", 25],
    ["openat", 56],
    ["exit_group", 94],
    ["rt_sigreturn", 139],
    ["clone", 220],
    ["execve", 221],
    ["mmap", 222],
    ["fadvise64", 223],
    ["accept4", 242],
    ["riscv_flush_icache", 259],
    ["wait4", 260],
    ["statx", 291],
    ["clone3", 435],
    ["faccessat2", 439],
    ["futex_waitv", 449],
    ["removexattrat", 466],
  ] as const) {
    assert.equal(RISCV64_CALLS.get(name), number, name);
  }
  for (const [name, number] of [
    ["read", 0],
    ["execve", 59],
    ["openat", 257],
    ["rseq", 334],
    ["clone3", 435],
  ] as const) {
    assert.equal(X86_64_CALLS.get(name), number, name);
  }
  assert.equal(invertCalls(RISCV64_CALLS).get(64), "write");
  assert.equal(RISCV64_CALLS.has("renameat"), false);
});

test("struct stat follows each architecture's layout", () => {
  const fields = {
    device: 5,
    inode: 77,
    mode: 0o100644,
    nlink: 3,
    uid: 1000,
    gid: 100,
    rdev: 0,
    size: 12345,
    blockSize: 4096,
    blocks: 32,
    atime: { seconds: 1, nanoseconds: 2 },
    mtime: { seconds: 3, nanoseconds: 4 },
    ctime: { seconds: 5, nanoseconds: 6 },
  };
  const riscv = encodeStat(RISCV64_ABI.stat, fields);
  assert.equal(riscv.length, 128);
  assert.equal(readU32(riscv, 16), 0o100644);
  assert.equal(readU32(riscv, 20), 3);
  assert.equal(readU32(riscv, 24), 1000);
  assert.equal(readI64(riscv, 48), 12345);
  assert.equal(readI64(riscv, 112), 6);
  const x86 = encodeStat(X86_64_ABI.stat, fields);
  assert.equal(x86.length, 144);
  assert.equal(readI64(x86, 16), 3);
  assert.equal(readU32(x86, 24), 0o100644);
  assert.equal(readU32(x86, 32), 100);
});

test("device numbers survive encoding", () => {
  const device = makeDevice(0xabc, 0x12345);
  assert.equal(deviceMajor(device), 0xabc);
  assert.equal(deviceMinor(device), 0x12345);
});

test("a directory entry is padded to eight bytes and NUL-terminated", () => {
  const entry = encodeDirent64(9, 1, 8, "abcde");
  assert.equal(entry.length, 32);
  assert.equal(readU16(entry, 16), 32);
  assert.equal(entry[24], 0);
  assert.equal(encodeDirent64(9, 1, 8, "abcd").length, 24);
});

test("times reject negative and overlong parts", () => {
  assert.deepEqual(decodeTimespec(encodeTimespec(1_500_000_000)), { seconds: 1, nanoseconds: 500_000_000 });
  const bad = encodeTimespec(0);
  bad.set([0, 0xca, 0x9a, 0x3b], 8); // 1,000,000,000 ns
  assert.equal(decodeTimespec(bad), undefined);
  assert.equal(decodeTimeval(new Uint8Array(16).fill(0xff)), undefined);
  assert.equal(totalNanoseconds({ seconds: 2 ** 62, nanoseconds: 0 }), Infinity);
});

test("siginfo, sigaction and rlimit have their fields in place", () => {
  const child = encodeSiginfo({ signal: SIGNALS.SIGCHLD, code: 1, pid: 7, uid: 8, status: 9 });
  assert.deepEqual([readI32(child, 16), readI32(child, 20), readI32(child, 24)], [7, 8, 9]);
  const fault = encodeSiginfo({ signal: SIGNALS.SIGSEGV, code: 1, address: -4096 });
  assert.equal(readI64(fault, 16), -4096);
  const queued = encodeSiginfo({ signal: 40, code: -1, pid: 1, uid: 2, valueLo: 3, valueHi: 4 });
  const { signal, code, pid, uid, valueLo, valueHi } = decodeSiginfo(queued);
  assert.deepEqual([signal, code, pid, uid, valueLo, valueHi], [40, -1, 1, 2, 3, 4]);
  assert.equal(decodeSiginfo(child).status, 9);
  assert.equal(decodeSiginfo(fault).address, -4096);
  const action = { handler: 0x10000, flags: 0x8400_0000, restorer: 0x20000, maskLo: 1, maskHi: 2 };
  const [riscv, x86] = [RISCV64_ABI.sigaction, X86_64_ABI.sigaction];
  assert.deepEqual(decodeSigaction(x86, encodeSigaction(x86, action)), action);
  assert.deepEqual(decodeSigaction(riscv, encodeSigaction(riscv, action)), { ...action, restorer: 0 });
  assert.deepEqual(decodeRlimit(encodeRlimit({ soft: 1024, hard: Infinity })), { soft: 1024, hard: Infinity });
});

test("signals have names and default actions", () => {
  assert.equal(signalName(9), "SIGKILL");
  assert.equal(signalName(34), "SIGRT_2");
  assert.equal(defaultAction(SIGNALS.SIGCHLD), "ignore");
  assert.equal(defaultAction(SIGNALS.SIGSEGV), "core");
  assert.equal(defaultAction(40), "terminate");
});
