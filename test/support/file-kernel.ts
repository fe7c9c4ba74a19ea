// A kernel with memory and mounts and one process that no hart runs: file calls are made by calling the rows' handlers, with user
// memory in a real address space.

import assert from "node:assert/strict";
import type { Architecture } from "../../src/system/platform.ts";
import { ERRNO, type Errno } from "../../src/abi/linux/errno.ts";
import { createFileTable } from "../../src/kernel/fs/descriptors.ts";
import { mountFilesystem } from "../../src/kernel/fs/mounts.ts";
import { resolveFromRoot } from "../../src/kernel/fs/path.ts";
import type { PathRef } from "../../src/kernel/fs/types.ts";
import type { HostPorts } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { createAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { mapRegion } from "../../src/kernel/mem/regions.ts";
import { copyFromUser, copyToUser } from "../../src/kernel/mem/user-memory.ts";
import { createProcess, createThread } from "../../src/kernel/process/create.ts";
import type { Process, Thread } from "../../src/kernel/process/types.ts";
import type { SyscallResult, SyscallRow } from "../../src/kernel/syscall/row.ts";
import { readU32 } from "../../src/lib/bytes.ts";
import { ALL_CALLS } from "../../src/kernel/syscall/table.ts";
import { cancelWait } from "../../src/kernel/wait.ts";
import { createMemoryKernel } from "./memory-kernel.ts";

const ROWS = new Map<string, SyscallRow>(ALL_CALLS.map((row) => [row.name, row]));

export const AT_FDCWD = -100;
/** User memory that every test process has: readable and writable. */
export const BUFFER = 0x10_0000;
export const BUFFER_LENGTH = 0x40_0000;

export interface FileKernel {
  readonly k: Kernel;
  readonly root: PathRef;
  /** The process of `call`; more are made by `addProcess`. */
  readonly user: User;
  addProcess(): User;
}

/** One process with one thread. */
export interface User {
  readonly process: Process;
  readonly thread: Thread;
  /** Calls a handler; the thread is then as if it had returned, or as it is while blocked. */
  call(name: string, ...values: (number | string)[]): SyscallResult;
  /** Runs the handler again as after a wake-up: restart data are kept. */
  resume(name: string, ...values: (number | string)[]): SyscallResult;
  /** As `call`, for a call that must succeed. */
  must(name: string, ...values: (number | string)[]): number;
  /** Puts bytes into user memory at BUFFER + offset, and returns the address. */
  put(bytes: Uint8Array | string, offset?: number): number;
  /** Bytes of user memory. */
  get(length: number, offset?: number): Uint8Array;
  /** The struct stat that a call has put at BUFFER. */
  stat(): { readonly mode: number; readonly nlink: number; readonly uid: number; readonly gid: number };
  /** A file's whole contents, through open, read and close. */
  readFile(path: string): string;
  writeFile(path: string, text: string): void;
}

export function createFileKernel(
  arch: Architecture,
  options: { memoryBytes?: number; host?: Partial<HostPorts>; limitBytes?: number } = {},
): FileKernel {
  const base = createMemoryKernel(arch, { memoryBytes: options.memoryBytes ?? 32 << 20 });
  const k: Kernel = { ...base, host: { ...base.host, ...options.host } };
  const mounted = mountFilesystem(k, "tmpfs", undefined, {
    mode: 0o755,
    ...(options.limitBytes === undefined ? {} : { limitBytes: options.limitBytes }),
  });
  assert.notEqual(typeof mounted, "string");
  const root = resolveFromRoot(k, "/");
  assert.ok(typeof root !== "string");
  let nextPid = 100;
  const addProcess = (): User => createUser(k, root, nextPid++);
  return { k, root, user: addProcess(), addProcess };
}

function createUser(k: Kernel, root: PathRef, pid: number): User {
  const space = createAddressSpace(k);
  assert.ok(space !== "ENOMEM");
  const process = createProcess(k, {
    pid,
    space,
    files: createFileTable(),
    fs: { root, cwd: root, umask: 0o022, sharers: 1 },
  });
  const thread = createThread(k, process, pid);
  assert.ok(thread !== "ENOMEM");
  thread.state = { kind: "running", hart: 0 };
  const mapped = mapRegion(k, space, {
    address: BUFFER,
    fixed: "replace",
    length: BUFFER_LENGTH,
    protection: { read: true, write: true, execute: false },
    sharing: "private",
    purpose: "anonymous",
  });
  assert.equal(mapped, BUFFER);
  let blockedIn: string | undefined;

  const resume: User["resume"] = (name, ...values) => {
    const row = ROWS.get(name);
    assert.ok(row !== undefined, `no row ${name}`);
    if (thread.state.kind === "blocked") cancelWait(k, thread);
    thread.state = { kind: "running", hart: 0 };
    const result = row.handler({ k, thread, process, hart: 0 }, ...values);
    blockedIn = result === "BLOCKED" ? name : undefined;
    if (result !== "BLOCKED") thread.restart = undefined;
    return result;
  };
  const call: User["call"] = (name, ...values) => {
    // The same call as the one that blocked is that call, begun again.
    if (blockedIn !== name) thread.restart = undefined;
    return resume(name, ...values);
  };
  const must: User["must"] = (name, ...values) => {
    const result = call(name, ...values);
    assert.equal(typeof result, "number", `${name}(${values.join(", ")}) gave ${result}`);
    return Number(result);
  };
  const put: User["put"] = (bytes, offset = 0) => {
    const raw = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
    assert.equal(copyToUser(k, space, BUFFER + offset, raw), 0);
    return BUFFER + offset;
  };
  const get: User["get"] = (length, offset = 0) => {
    const bytes = copyFromUser(k, space, BUFFER + offset, length);
    assert.ok(bytes !== "EFAULT");
    return bytes;
  };
  return {
    process,
    thread,
    call,
    resume,
    must,
    put,
    get,
    stat() {
      const { size, modeOffset, nlinkOffset, uidOffset } = k.arch.abi.stat;
      const bytes = get(size);
      return {
        mode: readU32(bytes, modeOffset),
        nlink: readU32(bytes, nlinkOffset),
        uid: readU32(bytes, uidOffset),
        gid: readU32(bytes, uidOffset + 4),
      };
    },
    readFile(path) {
      const fd = must("openat", AT_FDCWD, path, 0, 0);
      let text = "";
      for (;;) {
        const count = must("read", fd, BUFFER, 65536);
        if (count === 0) break;
        text += Buffer.from(get(count)).toString("latin1");
      }
      must("close", fd);
      return text;
    },
    writeFile(path, text) {
      const fd = must("openat", AT_FDCWD, path, 0o1101, 0o644);
      for (let done = 0; done < text.length;) {
        const part = text.slice(done, done + 65536);
        done += must("write", fd, put(part), part.length);
      }
      must("close", fd);
    },
  };
}

/** Whether a string is an error name: what host and guest results are compared by. */
export function isErrno(value: string): value is Errno {
  return Object.hasOwn(ERRNO, value);
}
