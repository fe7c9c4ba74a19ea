// Reading and writing: errors before effects, append, holes, limits, pipes, FIFOs, devices, descriptors, locks, poll.

import assert from "node:assert/strict";
import fc from "fast-check";
import * as flag from "../../src/abi/linux/open-flags.ts";
import { EPOLL_CTL_ADD, EPOLLET, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT } from "../../src/abi/linux/poll.ts";
import { RLIMIT_FSIZE, RLIMIT_NOFILE } from "../../src/abi/linux/process.ts";
import { SIGNALS } from "../../src/abi/linux/signals.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { sendSignal } from "../../src/kernel/process/signals.ts";
import { eachArch } from "../support/architectures.ts";
import { AT_FDCWD, BUFFER, BUFFER_LENGTH, createFileKernel, type User } from "../support/file-kernel.ts";

const BAD = 0x1000; // not mapped
const EDGE = BUFFER + BUFFER_LENGTH - 8; // eight bytes before the end of what is mapped

function pipeOf(user: User, flags = 0): [number, number] {
  user.must("pipe2", BUFFER, flags);
  const view = Buffer.from(user.get(8));
  return [view.readInt32LE(0), view.readInt32LE(4)];
}

function pending(user: User): number[] {
  return user.thread.pendingSignals.splice(0).map(({ signal }) => signal);
}

eachArch(({ arch, test }) => {
  test("a bad buffer is EFAULT and consumes nothing", () => {
    const { user } = createFileKernel(arch);
    user.writeFile("/f", "0123456789abcdef");
    const fd = user.must("openat", AT_FDCWD, "/f", flag.O_RDWR, 0);
    assert.equal(user.call("read", fd, BAD, 4), "EFAULT");
    assert.equal(user.call("read", fd, EDGE, 16), "EFAULT");
    assert.equal(user.must("lseek", fd, 0, flag.SEEK_CUR), 0);
    assert.equal(user.call("write", fd, EDGE, 16), "EFAULT");
    assert.equal(user.readFile("/f"), "0123456789abcdef");
    assert.equal(user.must("read", fd, EDGE, 8), 8);
    const [reader, writer] = pipeOf(user);
    user.must("write", writer, user.put("twelve bytes"), 12);
    assert.equal(user.call("read", reader, EDGE, 12), "EFAULT");
    assert.equal(user.must("read", reader, BUFFER, 100), 12);
    assert.equal(user.call("read", 99, BAD, 4), "EBADF");
    assert.equal(user.call("write", fd, BAD, 0), 0);
  });

  test("a huge count reads what is there without touching the rest of the buffer", () => {
    const { k, user } = createFileKernel(arch);
    k.state.memory.largePages = "never"; // so that what is touched can be counted
    user.writeFile("/f", "short");
    const fd = user.must("openat", AT_FDCWD, "/f", flag.O_RDONLY, 0);
    const before = freeFrameCount(k);
    assert.equal(user.must("read", fd, BUFFER + 0x10_0000, 2 ** 40), 5);
    assert.ok(before - freeFrameCount(k) <= 2);
  });

  test("O_APPEND, pread, pwrite, vectors and holes", () => {
    const { user } = createFileKernel(arch);
    user.writeFile("/f", "start");
    const fd = user.must("openat", AT_FDCWD, "/f", flag.O_RDWR | flag.O_APPEND, 0);
    user.must("write", fd, user.put("+end"), 4);
    user.must("pwrite64", fd, user.put("!"), 1, 0); // appends all the same, as Linux does
    assert.equal(user.readFile("/f"), "start+end!");
    assert.equal(user.call("pread64", fd, BUFFER, 1, -1), "EINVAL");
    const vectors = Buffer.alloc(48);
    for (const [i, [at, length]] of [
      [BUFFER + 4096, 2],
      [BUFFER + 8192, 0],
      [BUFFER + 12288, 100],
    ].entries()) {
      vectors.writeBigInt64LE(BigInt(at ?? 0), i * 16);
      vectors.writeBigInt64LE(BigInt(length ?? 0), i * 16 + 8);
    }
    user.put(vectors);
    user.must("lseek", fd, 0, flag.SEEK_SET);
    assert.equal(user.must("readv", fd, BUFFER, 3), 10);
    assert.equal(Buffer.from(user.get(2, 4096)).toString() + Buffer.from(user.get(8, 12288)).toString(), "start+end!");
    assert.equal(user.call("readv", fd, BUFFER, 1025), "EINVAL");
    const holey = user.must("openat", AT_FDCWD, "/holey", flag.O_RDWR | flag.O_CREAT, 0o644);
    user.must("pwrite64", holey, user.put("x"), 1, 1_000_000);
    assert.equal(user.must("lseek", holey, 0, flag.SEEK_DATA), 999_424);
    assert.equal(user.must("lseek", holey, 0, flag.SEEK_HOLE), 0);
    assert.equal(user.must("lseek", holey, 0, flag.SEEK_END), 1_000_001);
    assert.equal(user.call("lseek", holey, -1, flag.SEEK_SET), "EINVAL");
    assert.equal(user.call("lseek", holey, 1_000_001, flag.SEEK_DATA), "ENXIO");
    user.must("fstat", holey, BUFFER);
    assert.equal(Buffer.from(user.get(128)).readBigInt64LE(64), 8n); // 512-byte blocks of the one page
  });

  test("directories, descriptors' rights and the kinds of files refuse what does not fit them", () => {
    const { user } = createFileKernel(arch);
    user.must("mkdirat", AT_FDCWD, "/d", 0o755);
    const folder = user.must("openat", AT_FDCWD, "/d", flag.O_RDONLY, 0);
    assert.equal(user.call("read", folder, BUFFER, 1), "EISDIR");
    assert.equal(user.call("write", folder, BUFFER, 1), "EBADF");
    assert.equal(user.call("openat", AT_FDCWD, "/d", flag.O_WRONLY, 0), "EISDIR");
    user.writeFile("/f", "x");
    const read = user.must("openat", AT_FDCWD, "/f", flag.O_RDONLY, 0);
    const write = user.must("openat", AT_FDCWD, "/f", flag.O_WRONLY, 0);
    assert.equal(user.call("write", read, BUFFER, 1), "EBADF");
    assert.equal(user.call("read", write, BUFFER, 1), "EBADF");
    assert.equal(user.call("ftruncate", read, 0), "EINVAL");
    assert.equal(user.call("getdents64", read, BUFFER, 100), "ENOTDIR");
    assert.equal(user.call("openat", AT_FDCWD, "/f", flag.O_DIRECTORY, 0), "ENOTDIR");
    assert.equal(user.call("openat", AT_FDCWD, "/f/", 0, 0), "ENOTDIR");
    assert.equal(user.call("openat", read, "x", 0, 0), "ENOTDIR");
    const place = user.must("openat", AT_FDCWD, "/f", flag.O_PATH, 0);
    assert.equal(user.call("read", place, BUFFER, 1), "EBADF");
    assert.equal(user.call("ioctl", read, 0x5401, BUFFER), "ENOTTY");
    const [reader] = pipeOf(user);
    assert.equal(user.call("lseek", reader, 0, 0), "ESPIPE");
    assert.equal(user.call("pread64", reader, BUFFER, 1, 0), "ESPIPE");
  });

  test("a full file system, the file-size limit and long names fail as they should", () => {
    const { user } = createFileKernel(arch, { limitBytes: 64 * 1024 });
    const fd = user.must("openat", AT_FDCWD, "/f", flag.O_RDWR | flag.O_CREAT, 0o644);
    assert.equal(user.must("write", fd, BUFFER, 100_000), 65536);
    assert.equal(user.call("write", fd, BUFFER, 1), "ENOSPC");
    user.must("ftruncate", fd, 10);
    user.process.limits[RLIMIT_FSIZE] = { soft: 100, hard: 100 };
    assert.equal(user.must("pwrite64", fd, BUFFER, 200, 50), 50);
    assert.equal(user.call("pwrite64", fd, BUFFER, 200, 100), "EFBIG");
    assert.deepEqual(pending(user), [SIGNALS.SIGXFSZ]);
    assert.equal(user.call("ftruncate", fd, 200), "EFBIG");
    assert.equal(user.call("mkdirat", AT_FDCWD, "x".repeat(256), 0), "ENAMETOOLONG");
    assert.equal(user.call("openat", AT_FDCWD, "/".repeat(4096), 0, 0), "ENAMETOOLONG");
  });

  test("ten thousand open files; EMFILE at the limit", () => {
    const { user } = createFileKernel(arch);
    user.writeFile("/f", "x");
    user.process.limits[RLIMIT_NOFILE] = { soft: 10_000, hard: 10_000 };
    for (let fd = 0; fd < 10_000; fd++) assert.equal(user.must("openat", AT_FDCWD, "/f", 0, 0), fd);
    assert.equal(user.call("openat", AT_FDCWD, "/f", 0, 0), "EMFILE");
    assert.equal(user.call("openat", AT_FDCWD, "/new", flag.O_CREAT, 0o644), "EMFILE");
    assert.equal(user.call("newfstatat", AT_FDCWD, "/new", BUFFER, 0), "ENOENT");
    user.must("close", 1234);
    assert.equal(user.must("dup", 0), 1234);
    user.must("close_range", 3, 0xffff_ffff, 0);
    assert.equal(user.must("dup", 0), 3);
  });

  test("dup3, fcntl and close-on-exec", () => {
    const { user } = createFileKernel(arch);
    user.writeFile("/f", "0123456789");
    const fd = user.must("openat", AT_FDCWD, "/f", flag.O_RDWR | flag.O_CLOEXEC, 0);
    assert.equal(user.must("fcntl", fd, flag.F_GETFD, 0), 1);
    assert.equal(user.must("dup3", fd, 20, 0), 20);
    assert.equal(user.must("fcntl", 20, flag.F_GETFD, 0), 0);
    user.must("lseek", 20, 5, flag.SEEK_SET);
    assert.equal(user.must("lseek", fd, 0, flag.SEEK_CUR), 5);
    assert.equal(user.call("dup3", fd, fd, 0), "EINVAL");
    assert.equal(user.call("dup3", 77, 5, 0), "EBADF");
    assert.equal(user.must("fcntl", fd, flag.F_DUPFD_CLOEXEC, 10), 10);
    assert.equal(user.call("fcntl", fd, flag.F_DUPFD, 5000), "EINVAL");
    user.must("fcntl", fd, flag.F_SETFL, flag.O_APPEND | flag.O_NONBLOCK | flag.O_WRONLY);
    assert.equal(user.must("fcntl", fd, flag.F_GETFL, 0) & 0o7777, flag.O_RDWR | flag.O_APPEND | flag.O_NONBLOCK);
  });

  test("a blocked call changes nothing but its wait", () => {
    const { k, user } = createFileKernel(arch);
    const [reader] = pipeOf(user);
    const files = structuredClone(k.state.files);
    assert.equal(user.call("read", reader, BUFFER, 10), "BLOCKED");
    assert.deepEqual(k.state.files, files);
    assert.equal(user.thread.state.kind, "blocked");
  });

  test("pipes: end of file, EPIPE with SIGPIPE, capacity, and atomic writes of up to PIPE_BUF bytes", () => {
    const { user } = createFileKernel(arch);
    const [reader, writer] = pipeOf(user, flag.O_NONBLOCK);
    assert.equal(user.call("read", reader, BUFFER, 10), "EAGAIN");
    assert.equal(user.must("write", writer, BUFFER, 100_000), 65536);
    assert.equal(user.call("write", writer, BUFFER, 1), "EAGAIN");
    assert.equal(user.must("read", reader, BUFFER, 1000), 1000);
    assert.equal(user.call("write", writer, BUFFER, 1001), "EAGAIN");
    assert.equal(user.must("write", writer, BUFFER, 5000), 1000);
    assert.equal(user.must("fcntl", writer, flag.F_SETPIPE_SZ, 100_000), 131_072);
    assert.equal(user.call("fcntl", writer, flag.F_SETPIPE_SZ, 4096), "EBUSY");
    user.must("close", writer);
    assert.equal(user.must("read", reader, BUFFER, 200_000), 65536);
    assert.equal(user.must("read", reader, BUFFER, 10), 0);
    const [gone, lonely] = pipeOf(user);
    user.must("close", gone);
    assert.equal(user.call("write", lonely, BUFFER, 1), "EPIPE");
    assert.deepEqual(pending(user), [SIGNALS.SIGPIPE]);
  });

  test("vmsplice moves copies into and out of pipes, and nothing else", () => {
    const { user } = createFileKernel(arch);
    user.must("pipe2", BUFFER, 0);
    const [from, to] = [...new Int32Array(user.get(8).slice().buffer)] as [number, number];
    const vector = new Uint8Array(new BigUint64Array([BigInt(BUFFER + 512), 5n]).buffer);
    user.put("hello", 512);
    const vectorAt = user.put(vector, 256);
    const nonBlocking = 2;
    assert.equal(user.call("vmsplice", from, vectorAt, 1, nonBlocking), "EAGAIN");
    assert.equal(user.call("vmsplice", from, vectorAt, 1, 0), "BLOCKED");
    assert.equal(user.call("vmsplice", to, vectorAt, 1, 0), 5);
    user.put("other", 512);
    assert.equal(user.call("vmsplice", from, vectorAt, 1, 0), 5);
    assert.equal(Buffer.from(user.get(5, 512)).toString(), "hello");
    const all = user.put(new Uint8Array(new BigUint64Array([BigInt(BUFFER), 1_000_000n]).buffer), BUFFER_LENGTH - 16);
    assert.equal(user.call("vmsplice", to, all, 1, 0), 65_536, "as much as there is room for");
    assert.equal(user.call("vmsplice", to, all, 1, 0), "BLOCKED");
    assert.equal(user.call("vmsplice", to, vectorAt, 1, 16), "EINVAL");
    const file = user.must("openat", AT_FDCWD, "/f", flag.O_RDWR | flag.O_CREAT, 0o644);
    assert.equal(user.call("vmsplice", file, vectorAt, 1, 0), "EBADF");
  });

  test("a long blocking write goes on where it stopped, and a signal ends it with what was done", () => {
    const files = createFileKernel(arch);
    const { user: a } = files;
    const [reader, writer] = pipeOf(a);
    const b = files.addProcess();
    b.process.files = a.process.files;
    const data = a.put(Uint8Array.from({ length: 150_000 }, (_, i) => i % 251));
    let received = 0;
    const drain = (length: number): void => {
      for (const byte of b.get(b.must("read", reader, BUFFER, length))) assert.equal(byte, received++ % 251);
    };
    let result = a.call("write", writer, data, 150_000);
    while (result === "BLOCKED") {
      drain(40_000);
      assert.equal(a.thread.state.kind, "runnable");
      result = a.resume("write", writer, data, 150_000);
    }
    assert.equal(result, 150_000);
    drain(65536);
    assert.equal(received, 150_000);
    assert.equal(a.call("write", writer, data, 150_000), "BLOCKED");
    sendSignal(files.k, a.process, { signal: SIGNALS.SIGUSR1, code: 0 });
    assert.equal(a.resume("write", writer, data, 150_000), 65536);
  });

  test("pipe traffic against a queue", () => {
    const { user } = createFileKernel(arch);
    const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 20_000 })), { maxLength: 30 });
    fc.assert(
      fc.property(steps, (traffic) => {
        const [reader, writer] = pipeOf(user, flag.O_NONBLOCK);
        let written = 0;
        let read = 0;
        for (const [isWrite, length] of traffic) {
          if (isWrite) {
            const bytes = Uint8Array.from({ length }, (_, i) => (written + i) % 253);
            const count = user.call("write", writer, user.put(bytes, 0x10_0000), length);
            const room = 65536 - (written - read);
            const expected =
              length <= 4096 && room < length ? "EAGAIN" : room === 0 ? "EAGAIN" : Math.min(room, length);
            assert.equal(count, expected);
            if (typeof count === "number") written += count;
          } else {
            const count = user.call("read", reader, BUFFER + 0x20_0000, length);
            assert.equal(count, written === read ? "EAGAIN" : Math.min(length, written - read));
            if (typeof count !== "number") continue;
            for (const byte of user.get(count, 0x20_0000)) assert.equal(byte, read++ % 253);
          }
        }
        user.must("close", reader);
        user.must("close", writer);
      }),
      { numRuns: 60 },
    );
  });

  test("a FIFO opens when both ends are there", () => {
    const files = createFileKernel(arch);
    const { user: a } = files;
    const b = files.addProcess();
    a.must("mknodat", AT_FDCWD, "/fifo", 0o010644, 0);
    assert.equal(a.call("openat", AT_FDCWD, "/fifo", flag.O_WRONLY | flag.O_NONBLOCK, 0), "ENXIO");
    assert.equal(a.call("openat", AT_FDCWD, "/fifo", flag.O_RDONLY, 0), "BLOCKED");
    // The writer finds the reader that waits, writes and is gone before the reader runs again.
    const writer = b.must("openat", AT_FDCWD, "/fifo", flag.O_WRONLY, 0);
    assert.equal(a.thread.state.kind, "runnable");
    assert.equal(b.must("write", writer, b.put("message"), 7), 7);
    b.must("close", writer);
    const reader = Number(a.call("openat", AT_FDCWD, "/fifo", flag.O_RDONLY, 0));
    assert.equal(a.must("read", reader, BUFFER, 100), 7);
    assert.equal(a.must("read", reader, BUFFER, 100), 0);
    a.must("close", reader);
    const both = a.must("openat", AT_FDCWD, "/fifo", flag.O_RDWR, 0);
    assert.equal(a.call("read", both, BUFFER, 1), "BLOCKED");
  });

  test("unlinked files live while they are open; their frames come back afterwards", () => {
    const { k, user } = createFileKernel(arch);
    user.writeFile("/warm-up", "x");
    user.put(new Uint8Array(100_000));
    const before = freeFrameCount(k);
    const fd = user.must("openat", AT_FDCWD, "/f", flag.O_RDWR | flag.O_CREAT, 0o644);
    user.must("write", fd, BUFFER, 100_000);
    assert.ok(before - freeFrameCount(k) >= 24);
    user.must("unlinkat", AT_FDCWD, "/f", 0);
    assert.equal(user.must("pread64", fd, BUFFER, 10, 99_990), 10);
    user.must("close", fd);
    assert.equal(freeFrameCount(k), before);
    assert.deepEqual(checkInvariants(k), []);
  });

  test("O_TMPFILE: a file without a name lives while it is open, and may be given one unless it asked not to", () => {
    const { k, user } = createFileKernel(arch);
    user.writeFile("/warm-up", "x");
    const { inodeCount } = k.state.files.mounts[0]?.filesystem ?? assert.fail();
    const free = freeFrameCount(k);
    const nameless = flag.O_TMPFILE | flag.O_RDWR;
    user.must("mkdirat", AT_FDCWD, "/d", 0o777);
    const fd = user.must("openat", AT_FDCWD, "/d", nameless, 0o600);
    user.must("write", fd, user.put("abc"), 3);
    user.must("fstat", fd, BUFFER);
    assert.equal(user.stat().nlink, 0);
    user.must("linkat", fd, "", AT_FDCWD, "/d/f", flag.AT_EMPTY_PATH);
    assert.equal(user.readFile("/d/f"), "abc");
    user.must("unlinkat", AT_FDCWD, "/d/f", 0);
    assert.equal(user.call("linkat", fd, "", AT_FDCWD, "/d/g", flag.AT_EMPTY_PATH), "ENOENT");
    user.must("close", fd);
    const lone = user.must("openat", AT_FDCWD, "/d", nameless | flag.O_EXCL, 0o600);
    assert.equal(user.call("linkat", lone, "", AT_FDCWD, "/d/f", flag.AT_EMPTY_PATH), "ENOENT");
    user.must("close", lone);
    assert.equal(user.call("openat", AT_FDCWD, "/d", flag.O_TMPFILE | flag.O_RDONLY, 0o600), "EINVAL");
    user.must("unlinkat", AT_FDCWD, "/d", 0x200);
    assert.equal(k.state.files.mounts[0]?.filesystem.inodeCount, inodeCount);
    assert.equal(freeFrameCount(k), free);
    assert.deepEqual(checkInvariants(k), []);
  });

  test("record locks split, join, conflict and go with any close by their process", () => {
    const files = createFileKernel(arch);
    const { user: a } = files;
    const b = files.addProcess();
    a.writeFile("/f", "x");
    const [fa, fb] = [a, b].map((user) => user.must("openat", AT_FDCWD, "/f", flag.O_RDWR, 0)) as [number, number];
    const lock = (user: User, fd: number, command: number, type: number, start: number, length: number) => {
      const bytes = Buffer.alloc(32);
      bytes.writeInt16LE(type, 0);
      bytes.writeBigInt64LE(BigInt(start), 8);
      bytes.writeBigInt64LE(BigInt(length), 16);
      return user.call("fcntl", fd, command, user.put(bytes));
    };
    assert.equal(lock(a, fa, flag.F_SETLK, flag.F_WRLCK, 10, 10), 0);
    assert.equal(lock(b, fb, flag.F_SETLK, flag.F_RDLCK, 15, 1), "EAGAIN");
    assert.equal(lock(b, fb, flag.F_SETLK, flag.F_RDLCK, 20, 5), 0);
    assert.equal(lock(a, fa, flag.F_SETLK, flag.F_UNLCK, 14, 2), 0);
    assert.equal(lock(b, fb, flag.F_SETLK, flag.F_WRLCK, 14, 2), 0);
    assert.equal(lock(b, fb, flag.F_SETLK, flag.F_RDLCK, 13, 1), "EAGAIN");
    assert.equal(lock(b, fb, flag.F_GETLK, flag.F_RDLCK, 0, 0), 0);
    const found = Buffer.from(b.get(32));
    assert.deepEqual(
      [found.readInt16LE(0), found.readBigInt64LE(8), found.readBigInt64LE(16), found.readInt32LE(24)],
      [flag.F_WRLCK, 10n, 4n, a.process.pid],
    );
    assert.equal(lock(b, fb, flag.F_SETLKW, flag.F_WRLCK, 10, 1), "BLOCKED");
    assert.equal(lock(a, fa, flag.F_SETLKW, flag.F_WRLCK, 14, 1), "EDEADLK");
    // Another description of the same file: closing it drops the process's locks.
    const other = a.must("openat", AT_FDCWD, "/f", flag.O_RDONLY, 0);
    a.must("close", other);
    assert.equal(b.thread.state.kind, "runnable");
    assert.equal(lock(b, fb, flag.F_SETLKW, flag.F_WRLCK, 10, 1), 0);
    assert.equal(a.must("flock", fa, flag.LOCK_EX), 0);
    assert.equal(b.call("flock", fb, flag.LOCK_SH | flag.LOCK_NB), "EAGAIN");
    a.must("close", fa);
    assert.equal(b.must("flock", fb, flag.LOCK_SH | flag.LOCK_NB), 0);
  });

  test("ppoll, pselect6, epoll and eventfd", () => {
    const { user } = createFileKernel(arch);
    const [reader, writer] = pipeOf(user);
    const poll = (...fds: (readonly [number, number])[]): [ReturnType<User["call"]>, number[]] => {
      const bytes = Buffer.alloc(fds.length * 8);
      for (const [i, [fd, events]] of fds.entries()) {
        bytes.writeInt32LE(fd, i * 8);
        bytes.writeInt16LE(events, i * 8 + 4);
      }
      const time = Buffer.alloc(16);
      const result = user.call("ppoll", user.put(bytes), fds.length, user.put(time, 4096), 0, 8);
      const answer = Buffer.from(user.get(bytes.length));
      return [result, fds.map((_, i) => answer.readInt16LE(i * 8 + 6))];
    };
    assert.deepEqual(poll([reader, POLLIN], [writer, POLLOUT], [99, POLLIN], [-1, POLLIN]), [
      2,
      [0, POLLOUT, POLLNVAL, 0],
    ]);
    user.put(Uint8Array.of(reader, 0, 0, 0, POLLIN, 0, 0, 0));
    assert.equal(user.call("ppoll", BUFFER, 1, 0, 0, 8), "BLOCKED");
    const epoll = user.must("epoll_create1", 0);
    const event = (events: number, data: number): number => {
      const bytes = Buffer.alloc(16);
      bytes.writeUInt32LE(events >>> 0, 0);
      bytes.writeUInt32LE(data, 8);
      return user.put(bytes, 8192);
    };
    user.must("epoll_ctl", epoll, EPOLL_CTL_ADD, reader, event(POLLIN | EPOLLET, 7));
    assert.equal(user.call("epoll_ctl", epoll, EPOLL_CTL_ADD, reader, event(POLLIN, 7)), "EEXIST");
    assert.equal(user.must("epoll_pwait", epoll, BUFFER, 4, 0, 0, 8), 0);
    user.must("write", writer, BUFFER, 3);
    assert.equal(user.must("epoll_pwait", epoll, BUFFER, 4, 0, 0, 8), 1);
    assert.equal(Buffer.from(user.get(16)).readUInt32LE(8), 7);
    assert.equal(user.must("epoll_pwait", epoll, BUFFER, 4, 0, 0, 8), 0); // edge-triggered: told already
    user.must("close", writer);
    assert.deepEqual(poll([reader, POLLIN]), [1, [POLLIN | POLLHUP]]);
    const [gone, lonely] = pipeOf(user);
    user.must("close", gone);
    assert.deepEqual(poll([lonely, POLLOUT]), [1, [POLLOUT | POLLERR]]);
    user.put(Uint8Array.from([1 << reader, 0, 0, 0, 0, 0, 0, 0]));
    user.put(new Uint8Array(16), 4096);
    assert.equal(user.must("pselect6", reader + 1, BUFFER, 0, 0, BUFFER + 4096, 0), 1);
    const counter = user.must("eventfd2", 3, flag.O_NONBLOCK);
    assert.equal(user.call("read", counter, BUFFER, 4), "EINVAL");
    assert.equal(user.must("read", counter, BUFFER, 8), 8);
    assert.equal(Buffer.from(user.get(8)).readBigUInt64LE(0), 3n);
    assert.equal(user.call("read", counter, BUFFER, 8), "EAGAIN");
  });

  test("permissions: classes, search, sticky directories, umask, set-gid directories, real ids for access", () => {
    const { user } = createFileKernel(arch);
    user.must("mkdirat", AT_FDCWD, "/tmp", 0o777);
    user.must("fchmodat", AT_FDCWD, "/tmp", 0o1777);
    user.must("mkdirat", AT_FDCWD, "/closed", 0o700);
    user.writeFile("/closed/f", "secret");
    user.writeFile("/root-file", "x");
    user.writeFile("/tmp/of-root", "x");
    user.must("mkdirat", AT_FDCWD, "/shared", 0o777);
    user.must("fchownat", AT_FDCWD, "/shared", 0, 50, 0);
    user.must("fchmodat", AT_FDCWD, "/shared", 0o2777);
    Object.assign(user.process.credentials, { euid: 1000, fsuid: 1000, egid: 1000, fsgid: 1000, groups: [] });
    assert.equal(user.call("openat", AT_FDCWD, "/closed/f", 0, 0), "EACCES");
    assert.equal(user.call("openat", AT_FDCWD, "/root-file", flag.O_WRONLY, 0), "EACCES");
    assert.equal(user.call("openat", AT_FDCWD, "/new", flag.O_CREAT, 0o644), "EACCES");
    assert.equal(user.call("unlinkat", AT_FDCWD, "/tmp/of-root", 0), "EPERM");
    assert.equal(user.call("renameat2", AT_FDCWD, "/tmp/of-root", AT_FDCWD, "/tmp/mine", 0), "EPERM");
    assert.equal(user.call("fchmodat", AT_FDCWD, "/root-file", 0o777), "EPERM");
    assert.equal(user.call("fchownat", AT_FDCWD, "/root-file", 1000, -1 >>> 0, 0), "EPERM");
    assert.equal(user.call("mknodat", AT_FDCWD, "/tmp/null", 0o020666, 0x103), "EPERM");
    assert.equal(user.call("chroot", "/tmp"), "EPERM");
    assert.equal(user.must("umask", 0o077), 0o022);
    const fd = user.must("openat", AT_FDCWD, "/shared/f", flag.O_CREAT | flag.O_WRONLY, 0o6777);
    user.must("fstat", fd, BUFFER);
    const { mode, uid, gid } = user.stat();
    assert.deepEqual([mode & 0o7777, uid, gid], [0o6700, 1000, 50]);
    user.must("write", fd, BUFFER, 1);
    user.must("fstat", fd, BUFFER);
    assert.equal(user.stat().mode & 0o7777, 0o2700);
    // access asks for the real user, who is root here still.
    assert.equal(user.must("faccessat", AT_FDCWD, "/closed/f", 4), 0);
    assert.equal(user.call("faccessat2", AT_FDCWD, "/closed/f", 4, 0x200), "EACCES");
  });

  test("no two open files of different kinds look like one to stat", () => {
    const { user } = createFileKernel(arch);
    const seen = new Map<string, string>();
    const look = (what: string, fd: number): void => {
      user.must("fstat", fd, BUFFER);
      const stat = Buffer.from(user.get(128));
      const identity = `${stat.readBigUInt64LE(0)}:${stat.readBigUInt64LE(8)}`;
      assert.equal(seen.get(identity), undefined, `${what} is like ${seen.get(identity)}`);
      seen.set(identity, what);
    };
    for (let i = 0; i < 20; i++) {
      user.writeFile(`/f${i}`, "x");
      look(`file ${i}`, user.must("openat", AT_FDCWD, `/f${i}`, 0, 0));
      look(`pipe ${i}`, pipeOf(user)[0]);
      look(`eventfd ${i}`, user.must("eventfd2", 0, 0));
    }
  });
});
