// pidfds: made by clone and pidfd_open, polled, waited for and signalled; never mistaken for a later process of the same pid.

import assert from "node:assert/strict";
import { O_NONBLOCK } from "../../src/abi/linux/open-flags.ts";
import { POLLHUP, POLLIN, POLLRDNORM } from "../../src/abi/linux/poll.ts";
import {
  CLONE_PIDFD,
  CLONE_PARENT_SETTID,
  CLONE_THREAD,
  CLONE_SIGHAND,
  CLONE_VM,
  P_PIDFD,
  WEXITED,
  WNOHANG,
} from "../../src/abi/linux/process.ts";
import { SIGNALS } from "../../src/abi/linux/signals.ts";
import { getFile } from "../../src/kernel/fs/descriptors.ts";
import { pidfdOperations } from "../../src/kernel/fs/pidfd.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { exitProcess } from "../../src/kernel/process/exit.ts";
import { cloneThread } from "../../src/kernel/process/fork.ts";
import type { Process } from "../../src/kernel/process/types.ts";
import { readI32 } from "../../src/lib/bytes.ts";
import { eachArch } from "../support/architectures.ts";
import { BUFFER, createFileKernel, type FileKernel, type User } from "../support/file-kernel.ts";

const READABLE = POLLIN | POLLRDNORM;

function forkWith({ k, user }: FileKernel, flags: number, parentTid = BUFFER + 64): Process | string {
  const common = { clearHandlers: false, exitSignal: SIGNALS.SIGCHLD, stack: 0, tls: 0, childTid: 0 };
  const child = cloneThread(k, user.thread, { ...common, flags, parentTid, pidfd: BUFFER });
  return typeof child === "string" ? child : child.process;
}

function child(kernel: FileKernel): { process: Process; fd: number } {
  const process = forkWith(kernel, CLONE_PIDFD);
  assert.ok(typeof process !== "string", "fork");
  return { process, fd: readI32(kernel.user.get(4), 0) };
}

function pollOf(k: Kernel, user: User, fd: number): number {
  const file = getFile(user.process, fd);
  assert.ok(file !== "EBADF");
  return pidfdOperations.poll(k, file);
}

function end(k: Kernel, process: Process): void {
  exitProcess(k, process, { kind: "exited", code: 3 });
}

eachArch(({ arch, test }) => {
  test("CLONE_PIDFD gives the parent, not the child, a descriptor that is readable once the child has ended", () => {
    const kernel = createFileKernel(arch);
    const { k, user } = kernel;
    const { process, fd } = child(kernel);
    assert.equal(getFile(process, fd), "EBADF");
    assert.equal(user.process.files.descriptors[fd]?.closeOnExec, true);
    assert.equal(pollOf(k, user, fd), 0);
    end(k, process);
    assert.equal(pollOf(k, user, fd), READABLE);
    assert.equal(user.call("waitid", P_PIDFD, fd, BUFFER, WEXITED, 0), 0);
    assert.equal(readI32(user.get(28), 24), 3);
    assert.equal(pollOf(k, user, fd), READABLE | POLLHUP);
    assert.equal(user.call("waitid", P_PIDFD, fd, BUFFER, WEXITED, 0), "ECHILD");
    assert.equal(user.call("pidfd_send_signal", fd, SIGNALS.SIGTERM, 0, 0), "ESRCH");
  });

  test("clone refuses a pidfd for a thread, at one place with the tid, or at a bad address", () => {
    const kernel = createFileKernel(arch);
    assert.equal(forkWith(kernel, CLONE_PIDFD | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM), "EINVAL");
    assert.equal(forkWith(kernel, CLONE_PIDFD | CLONE_PARENT_SETTID, BUFFER), "EINVAL");
    const { k, user } = kernel;
    const common = { clearHandlers: false, exitSignal: 0, stack: 0, tls: 0, childTid: 0, parentTid: 0 };
    assert.equal(cloneThread(k, user.thread, { ...common, flags: CLONE_PIDFD, pidfd: 8 }), "EFAULT");
    assert.equal(user.process.files.descriptors.filter((entry) => entry !== undefined).length, 0);
  });

  test("pidfd_open, signals, and waiting without blocking", () => {
    const kernel = createFileKernel(arch);
    const { k, user } = kernel;
    const { process } = child(kernel);
    const fd = user.must("pidfd_open", process.pid, O_NONBLOCK);
    assert.equal(user.call("pidfd_open", 12345, 0), "ESRCH");
    assert.equal(user.call("pidfd_open", 0, 0), "EINVAL");
    assert.equal(user.call("pidfd_open", process.pid, 1), "EINVAL");
    assert.equal(user.call("waitid", P_PIDFD, fd, 0, WEXITED, 0), "EAGAIN");
    assert.equal(user.call("waitid", P_PIDFD, fd, 0, WEXITED | WNOHANG, 0), 0);
    assert.equal(user.call("waitid", P_PIDFD, 99, 0, WEXITED, 0), "EBADF");
    assert.equal(user.call("pidfd_send_signal", fd, 0, 0, 0), 0);
    assert.equal(user.call("pidfd_send_signal", fd, SIGNALS.SIGUSR1, 0, 1), "EINVAL");
    assert.equal(user.call("pidfd_send_signal", fd, 65, 0, 0), "EINVAL");
    assert.equal(user.call("pidfd_send_signal", fd, SIGNALS.SIGSTOP, 0, 0), 0);
    Object.assign(user.process.credentials, { uid: 5, euid: 5, suid: 5, fsuid: 5 });
    assert.equal(user.call("pidfd_send_signal", fd, SIGNALS.SIGUSR1, 0, 0), "EPERM");
    end(k, process);
    assert.equal(user.call("waitid", P_PIDFD, fd, 0, WEXITED, 0), 0);
  });

  test("a pidfd does not stand for a later process of the same pid", () => {
    const kernel = createFileKernel(arch);
    const { k, user } = kernel;
    const { process, fd } = child(kernel);
    const other = kernel.addProcess();
    k.state.processes.set(process.pid, { ...other.process, pid: process.pid, startTimeNs: process.startTimeNs + 1 });
    assert.equal(user.call("pidfd_send_signal", fd, 0, 0, 0), "ESRCH");
    assert.equal(pollOf(k, user, fd), READABLE | POLLHUP);
  });
});
