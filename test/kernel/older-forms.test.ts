// The older forms of calls, which only x86-64 numbers: what each does is what the newer call does with some arguments fixed.

import assert from "node:assert/strict";
import { readI32, readI64, readU16, writeU16, writeU32, writeU64 } from "../../src/lib/bytes.ts";
import { eachArch } from "../support/architectures.ts";
import { BUFFER, createFileKernel, type User } from "../support/file-kernel.ts";

const O_CREAT_WRONLY = 0o101;

/** Names of the entries that getdents gives, with their types. */
function parseOldEntries(bytes: Uint8Array): [string, number][] {
  const entries: [string, number][] = [];
  for (let at = 0; at < bytes.length;) {
    const length = readU16(bytes, at + 16);
    const name = Buffer.from(bytes.subarray(at + 18, at + length - 1)).toString("latin1");
    entries.push([name.slice(0, name.indexOf("\0")), bytes[at + length - 1] ?? 0]);
    at += length;
  }
  return entries;
}

eachArch(({ arch, test }) => {
  /** Modification time in seconds: at the same place on both. */
  function modified(user: User, path: string): number {
    user.must("stat", path, BUFFER);
    return readI64(user.get(128), 88);
  }

  test("open, creat, access, stat and lstat look at files as their newer siblings do", () => {
    const { user } = createFileKernel(arch);
    const fd = user.must("open", "/f", O_CREAT_WRONLY, 0o640);
    assert.equal(user.must("write", fd, user.put("hello"), 5), 5);
    assert.equal(user.call("open", "/absent", 0, 0), "ENOENT");
    assert.equal(user.call("access", "/f", 4), 0);
    assert.equal(user.call("access", "/g", 4), "ENOENT");
    user.must("symlink", "f", "/l");
    user.must("stat", "/l", BUFFER);
    assert.equal(readI64(user.get(128), 48), 5, "the file's size");
    user.must("lstat", "/l", BUFFER);
    assert.equal(readI64(user.get(128), 48), 1, "the link's");
    assert.equal(user.must("readlink", "/l", BUFFER, 10), 1);
    assert.equal(Buffer.from(user.get(1)).toString(), "f");
    user.must("close", user.must("creat", "/f", 0o600));
    assert.equal(user.readFile("/f"), "", "creat truncates");
  });

  test("names are made, moved and removed", () => {
    const { user } = createFileKernel(arch);
    user.must("mkdir", "/d", 0o755);
    assert.equal(user.call("mkdir", "/d", 0o755), "EEXIST");
    user.writeFile("/d/a", "a");
    user.must("link", "/d/a", "/d/b");
    user.must("rename", "/d/b", "/d/c");
    user.must("mknod", "/d/p", 0o010644, 0);
    user.must("chmod", "/d/a", 0o600);
    user.must("chown", "/d/a", 5, 6);
    user.must("lchown", "/d/a", 7, 8);
    const directory = user.must("open", "/d", 0o200000, 0);
    const length = user.must("getdents", directory, BUFFER, 4096);
    const entries = new Map(parseOldEntries(user.get(length)));
    assert.deepEqual([...entries.keys()].toSorted(), [".", "..", "a", "c", "p"]);
    assert.deepEqual([entries.get("."), entries.get("a"), entries.get("p")], [4, 8, 1]);
    assert.equal(user.call("getdents", directory, BUFFER, 4096), 0, "the end");
    assert.equal(user.call("rmdir", "/d"), "ENOTEMPTY");
    assert.equal(user.call("unlink", "/d"), "EISDIR");
    for (const name of ["a", "c", "p"]) user.must("unlink", `/d/${name}`);
    user.must("rmdir", "/d");
    assert.equal(user.call("access", "/d", 0), "ENOENT");
  });

  test("utime, utimes and futimesat set times", () => {
    const { user } = createFileKernel(arch);
    user.writeFile("/f", "");
    const times = new Uint8Array(32);
    writeU64(times, 0, 1000);
    writeU64(times, 8, 2000);
    user.must("utime", "/f", user.put(times, 512));
    assert.equal(modified(user, "/f"), 2000);
    writeU64(times, 16, 3000);
    user.must("utimes", user.put("/f\0", 1024), user.put(times, 512));
    assert.equal(modified(user, "/f"), 3000);
    writeU64(times, 16, 4000);
    user.must("futimesat", -100, user.put("/f\0", 1024), user.put(times, 512));
    assert.equal(modified(user, "/f"), 4000);
    writeU64(times, 24, 1_000_000);
    assert.equal(user.call("utimes", user.put("/f\0", 1024), user.put(times, 512)), "EINVAL");
    assert.equal(user.call("utime", "/absent", 0), "ENOENT");
  });

  test("pipe, dup2, poll, select, eventfd and epoll serve descriptors", () => {
    const { user } = createFileKernel(arch);
    user.must("pipe", BUFFER);
    const [reader, writer] = [readI32(user.get(8), 0), readI32(user.get(8), 4)];
    assert.equal(user.must("dup2", writer, 9), 9);
    assert.equal(user.must("dup2", 9, 9), 9);
    assert.equal(user.call("dup2", 77, 77), "EBADF");
    const polled = new Uint8Array(8);
    writeU32(polled, 0, reader);
    writeU16(polled, 4, 1);
    assert.equal(user.call("poll", user.put(polled), 1, 0), 0);
    assert.equal(user.call("poll", user.put(polled), 1, -1), "BLOCKED");
    user.must("write", 9, user.put("x", 64), 1);
    assert.equal(user.resume("poll", BUFFER, 1, -1), 1);
    assert.equal(readU16(user.get(8), 6), 1, "POLLIN");
    const timeout = new Uint8Array(16);
    writeU64(timeout, 0, 1);
    const sets = new Uint8Array(8);
    writeU32(sets, 0, 1 << reader);
    assert.equal(user.must("select", reader + 1, user.put(sets), 0, 0, user.put(timeout, 256)), 1);
    assert.equal(user.get(1)[0], 1 << reader);
    assert.ok(readI64(user.get(16, 256), 0) <= 1, "what is left of the timeout");
    const counter = user.must("eventfd", 3);
    assert.equal(user.must("read", counter, BUFFER, 8), 8);
    assert.equal(readI64(user.get(8), 0), 3);
    assert.equal(user.call("epoll_create", 0), "EINVAL");
    const epoll = user.must("epoll_create", 1);
    const event = new Uint8Array(16);
    writeU32(event, 0, 1);
    user.must("epoll_ctl", epoll, 1, reader, user.put(event));
    assert.equal(user.must("epoll_wait", epoll, BUFFER, 4, -1), 1);
  });

  test("arch_prctl, iopl and ioperm answer as Linux does to a program without rights", () => {
    const { k, user } = createFileKernel(arch);
    const absent = k.arch.segmentBases === undefined;
    assert.equal(user.call("arch_prctl", 0x1002, BUFFER), absent ? "ENOSYS" : 0);
    if (!absent) {
      user.must("arch_prctl", 0x1003, BUFFER);
      assert.equal(readI64(user.get(8), 0), BUFFER);
      assert.equal(user.call("arch_prctl", 0x1001, k.arch.layout.userTop), "EPERM");
      assert.equal(user.call("arch_prctl", 0x3001, 0), "EINVAL");
    }
    assert.deepEqual([user.call("iopl", 0), user.call("iopl", 3), user.call("iopl", 4)], [0, "EPERM", "EINVAL"]);
    assert.equal(user.call("ioperm", 0x3f8, 8, 1), "EPERM");
    assert.equal(user.call("ioperm", 0xffff, 2, 1), "EINVAL");
  });
});
