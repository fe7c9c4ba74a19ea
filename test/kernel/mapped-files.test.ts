// Files of the host as memory: what a shared mapping writes reaches the file, whichever way the mapping ends.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { MAP_PRIVATE, MAP_SHARED, MS_SYNC, PROT_READ, PROT_WRITE } from "../../src/abi/linux/memory.ts";
import { checkFileInvariants } from "../../src/kernel/fs/checker.ts";
import type { HostDirectory } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { cloneAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { handlePageFault } from "../../src/kernel/mem/fault.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { query } from "../../src/kernel/mem/page-table.ts";
import { copyFromUser, copyToUser } from "../../src/kernel/mem/user-memory.ts";
import { PAGE_SIZE, virtAddr } from "../../src/lib/address.ts";
import type { Architecture } from "../../src/system/platform.ts";
import { mountFilesystem } from "../../src/kernel/fs/mounts.ts";
import { resolveFromRoot } from "../../src/kernel/fs/path.ts";
import { createHostDirectory } from "../../src/node/host-directory.ts";
import { eachArch } from "../support/architectures.ts";
import { AT_FDCWD, createFileKernel, type User } from "../support/file-kernel.ts";
import { bootGuest, portableProgram } from "../support/guest.ts";

/** Maps /tmp/file shared, closes it, writes "HE" at its start, then ends as the tail says. */
const program = (arch: Architecture, tail: string): Uint8Array =>
  portableProgram(
    arch,
    `
_start:
    sys openat, -100, &path, 2      # O_RDWR
    if r < 0 goto failed
    set s0, r
    sys mmap, 0, 4096, 3, 1, s0, 0  # MAP_SHARED
    if r < 0 goto failed
    set s1, r
    sys close, s0
    set t0, 0x4548                  # "HE"
    store16 t0, [s1]
${tail}
    load8 t0, [s1 + 2]              # "l" of "hello"
    sys exit, t0
failed:
    sys exit, 1
path:
    .asciz "/tmp/file"
`,
  );

const TAILS: Readonly<Record<string, string>> = {
  "the process ends": "",
  msync: "sys msync, s1, 4096, 4",
  "mprotect takes the right away first": "sys mprotect, s1, 4096, 1",
  "the mapping is moved": "sys mremap, s1, 4096, 4096, 3, 0x20000000\n set s1, r",
};

eachArch(({ arch, test }) => {
  for (const [name, tail] of Object.entries(TAILS)) {
    test(`a shared mapping's writes reach the host's file: ${name}`, () => {
      const folder = mkdtempSync(join(tmpdir(), "vitrine-mapped-"));
      try {
        writeFileSync(join(folder, "file"), "hello");
        const guest = bootGuest({
          arch,
          files: { "bin/mapper": program(arch, tail) },
          argv: ["/bin/mapper"],
          checkInvariants: true,
          directories: new Map([["host", createHostDirectory(folder, { readOnly: false })]]),
        });
        const { kernel } = guest.system;
        const place = resolveFromRoot(kernel, "/tmp");
        assert.ok(typeof place !== "string");
        assert.equal(typeof mountFilesystem(kernel, "hostfs", place, { source: "host" }), "object");
        const state = guest.finish();
        assert.equal(state.report, undefined);
        assert.equal(state.status, "l".charCodeAt(0));
        assert.equal(readFileSync(join(folder, "file"), "latin1"), "HEllo");
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }

  interface Mapped {
    readonly k: Kernel;
    readonly user: User;
    /** The file on the host, and a descriptor of it. */
    readonly path: string;
    readonly fd: number;
    poke(address: number, value: number): void;
    peek(address: number): number | undefined;
    map(sharing: number, pages: number): number;
    isFine(): void;
  }

  /** A process that has a file of the host open for reading and writing. */
  function openHostFile(contents: string, change: Partial<HostDirectory> = {}): Mapped {
    const folder = mkdtempSync(join(tmpdir(), "vitrine-mapped-"));
    after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "file");
    writeFileSync(path, contents);
    const directory = { ...createHostDirectory(folder, { readOnly: false }), ...change };
    const { k, user } = createFileKernel(arch, { host: { directories: new Map([["port", directory]]) } });
    user.must("mkdirat", AT_FDCWD, "/mnt", 0o755);
    const over = resolveFromRoot(k, "/mnt");
    assert.ok(typeof over !== "string");
    assert.equal(typeof mountFilesystem(k, "hostfs", over, { source: "port" }), "object");
    const fd = user.must("openat", AT_FDCWD, "/mnt/file", 2, 0);
    return { k, user, path, fd, ...accessOf(k, user, fd) };
  }

  /** The same with a file of a tmpfs. */
  function openTmpfsFile(contents: string): Omit<Mapped, "path"> {
    const { k, user } = createFileKernel(arch);
    const fd = user.must("openat", AT_FDCWD, "/file", 0o102, 0o600);
    user.must("pwrite64", fd, user.put(contents), contents.length, 0);
    return { k, user, fd, ...accessOf(k, user, fd) };
  }

  function accessOf(k: Kernel, user: User, fd: number): Pick<Mapped, "poke" | "peek" | "map" | "isFine"> {
    const { space } = user.process;
    return {
      poke: (address, value) => assert.equal(copyToUser(k, space, address, Uint8Array.of(value)), 0),
      peek(address) {
        const bytes = copyFromUser(k, space, address, 1);
        return bytes === "EFAULT" ? undefined : bytes[0];
      },
      map: (sharing, pages) => user.must("mmap", 0, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, sharing, fd, 0),
      isFine: () => assert.deepEqual([...checkInvariants(k), ...checkFileInvariants(k)], []),
    };
  }

  const isWritable = (k: Kernel, user: User, address: number): boolean | undefined =>
    query(k, user.process.space, virtAddr(address))?.flags.write;

  for (const call of ["msync", "fsync", "fdatasync", "syncfs", "sync"]) {
    test(`${call} makes dirty pages clean and read-only in every mapping, so that the next write is noticed`, () => {
      const { k, user, path, fd, poke, map, isFine } = openHostFile("x".repeat(3 * PAGE_SIZE));
      const [a, b] = [map(MAP_SHARED, 3), map(MAP_SHARED, 3)];
      poke(a, 1);
      poke(b + PAGE_SIZE, 2);
      poke(b, 3);
      const { vmo } = user.process.files.descriptors[fd]?.file.inode ?? {};
      assert.deepEqual([...(vmo?.dirty ?? [])], [0, 1]);
      assert.equal(isWritable(k, user, a), true);
      const values = call === "msync" ? [a, 3 * PAGE_SIZE, MS_SYNC] : call === "sync" ? [] : [fd];
      assert.equal(user.must(call, ...values), 0);
      assert.deepEqual([...(vmo?.dirty ?? [])], []);
      for (const address of [a, b, b + PAGE_SIZE]) assert.equal(isWritable(k, user, address), false);
      assert.deepEqual([...readFileSync(path).subarray(PAGE_SIZE - 1, PAGE_SIZE + 2)], [120, 2, 120]);
      assert.equal(readFileSync(path)[0], 3);
      poke(a + 1, 4);
      assert.deepEqual([...(vmo?.dirty ?? [])], [0]);
      isFine();
      user.must("munmap", a, 3 * PAGE_SIZE);
      assert.equal(readFileSync(path)[1], 4);
      assert.deepEqual([...(vmo?.dirty ?? [])], []);
      isFine();
    });
  }

  test("a host's file that has become unwritable is still written by the mapping that was made before", () => {
    const folder = mkdtempSync(join(tmpdir(), "vitrine-mapped-"));
    after(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "file"), "hello");
    const host = createHostDirectory(folder, { readOnly: false });
    let mayOpen = true;
    const directory: HostDirectory = { ...host, open: (...args) => (mayOpen ? host.open(...args) : "EACCES") };
    const { k, user } = createFileKernel(arch, { host: { directories: new Map([["port", directory]]) } });
    user.must("mkdirat", AT_FDCWD, "/mnt", 0o755);
    const over = resolveFromRoot(k, "/mnt");
    assert.ok(typeof over !== "string");
    assert.equal(typeof mountFilesystem(k, "hostfs", over, { source: "port" }), "object");
    const fd = user.must("openat", AT_FDCWD, "/mnt/file", 2, 0);
    const { map, poke, isFine } = accessOf(k, user, fd);
    const at = map(MAP_SHARED, 1);
    user.must("close", fd);
    mayOpen = false;
    poke(at, 74);
    user.must("msync", at, PAGE_SIZE, MS_SYNC);
    assert.equal(readFileSync(join(folder, "file"), "latin1"), "Jello");
    isFine();
  });

  test("msync stores the pages of its range, and no others", () => {
    const { user, path, poke, map } = openHostFile("x".repeat(3 * PAGE_SIZE));
    const at = map(MAP_SHARED, 3);
    for (let page = 0; page < 3; page++) poke(at + page * PAGE_SIZE, page + 1);
    user.must("msync", at + PAGE_SIZE, PAGE_SIZE, MS_SYNC);
    assert.deepEqual(
      [0, 1, 2].map((page) => readFileSync(path)[page * PAGE_SIZE]),
      [120, 2, 120],
    );
  });

  test("a page that cannot be stored stays dirty, and is stored when that is possible again", () => {
    let error: "EIO" | undefined = "EIO";
    const folder = mkdtempSync(join(tmpdir(), "vitrine-mapped-"));
    after(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "file"), "x".repeat(PAGE_SIZE));
    const host = createHostDirectory(folder, { readOnly: false });
    const directory: HostDirectory = {
      ...host,
      writeAt: (handle, offset, bytes) => error ?? host.writeAt(handle, offset, bytes),
    };
    const { k, user } = createFileKernel(arch, { host: { directories: new Map([["port", directory]]) } });
    user.must("mkdirat", AT_FDCWD, "/mnt", 0o755);
    const over = resolveFromRoot(k, "/mnt");
    assert.ok(typeof over !== "string");
    assert.equal(typeof mountFilesystem(k, "hostfs", over, { source: "port" }), "object");
    const fd = user.must("openat", AT_FDCWD, "/mnt/file", 2, 0);
    const { map, poke, peek, isFine } = accessOf(k, user, fd);
    const at = map(MAP_SHARED, 1);
    poke(at, 7);
    assert.equal(user.call("msync", at, PAGE_SIZE, MS_SYNC), "EIO");
    assert.equal(user.call("fsync", fd), "EIO");
    assert.equal(peek(at), 7);
    isFine();
    error = undefined;
    assert.equal(user.call("fsync", fd), 0);
    assert.equal(readFileSync(join(folder, "file"))[0], 7);
  });

  for (const [kind, open] of [
    ["tmpfs", openTmpfsFile],
    ["the host", openHostFile],
  ] as const) {
    test(`what a mapping wrote beyond the end of a file on ${kind} reads as zeros when the file has grown over it`, () => {
      const { user, fd, poke, peek, map, isFine } = open("hello");
      const at = map(MAP_SHARED, 2);
      const grow: Readonly<Record<string, (to: number) => void>> = {
        truncate: (to) => void user.must("ftruncate", fd, to),
        write: (to) => void user.must("pwrite64", fd, user.put("e"), 1, to - 1),
        allocate: (to) => void user.must("fallocate", fd, 0, 0, to),
      };
      let size = 5;
      for (const [name, to] of [
        ["truncate", 100],
        ["write", 200],
        ["allocate", 300],
        ["truncate", 5000],
      ] as const) {
        poke(at + size + 10, 99);
        grow[name]?.(to);
        assert.equal(peek(at + size + 10), 0, `${name} to ${to}`);
        user.must("pread64", fd, user.put("."), 1, size + 10);
        assert.deepEqual([...user.get(1)], [0]);
        size = to;
      }
      isFine();
    });

    test(`a hole in a file on ${kind} is zeros in shared mappings and in private ones that have no copy`, () => {
      const { k, user, fd, poke, peek, map, isFine } = open("abcd".repeat(PAGE_SIZE));
      const [shared, copied, shown] = [map(MAP_SHARED, 4), map(MAP_PRIVATE, 4), map(MAP_PRIVATE, 4)];
      poke(shared + PAGE_SIZE, 65);
      poke(copied + PAGE_SIZE, 66);
      assert.equal(peek(shown + PAGE_SIZE), 65);
      user.must("fallocate", fd, 3, PAGE_SIZE - 1, 2 * PAGE_SIZE);
      assert.deepEqual(
        [shared, copied, shown].map((at) => peek(at + PAGE_SIZE)),
        [0, 66, 0],
      );
      for (const at of [shared, copied, shown]) {
        assert.deepEqual(
          [PAGE_SIZE - 2, PAGE_SIZE - 1, 3 * PAGE_SIZE - 2, 3 * PAGE_SIZE - 1].map((offset) => peek(at + offset)),
          [99, 0, 0, 100],
        );
      }
      poke(shared + PAGE_SIZE, 67);
      assert.deepEqual(
        [shared, copied, shown].map((at) => peek(at + PAGE_SIZE)),
        [67, 66, 67],
      );
      assert.equal(isWritable(k, user, shown + PAGE_SIZE), false);
      isFine();
    });

    test(`a file on ${kind} that shrinks takes its pages from every mapping, those of a forked child too, and nothing leaks`, () => {
      const { k, user, fd, poke, peek, map, isFine } = open("abcd".repeat(PAGE_SIZE));
      const [shared, copied] = [map(MAP_SHARED, 4), map(MAP_PRIVATE, 4)];
      poke(shared + 3 * PAGE_SIZE, 65);
      poke(copied + 3 * PAGE_SIZE, 66);
      const child = cloneAddressSpace(k, user.process.space);
      assert.ok(child !== "ENOMEM");
      const free = freeFrameCount(k);
      const { pages } = user.process.files.descriptors[fd]?.file.inode.vmo ?? {};
      const before = pages?.resident ?? 0;
      user.must("ftruncate", fd, PAGE_SIZE + 1);
      // The file's pages, and the copy that parent and child shared.
      assert.equal(freeFrameCount(k), free + before - (pages?.resident ?? 0) + 1);
      for (const space of [user.process.space, child]) {
        for (const at of [shared, copied]) {
          const outcome = handlePageFault(k, space, virtAddr(at + 3 * PAGE_SIZE), "write");
          assert.deepEqual(outcome, { kind: "signal", signal: "SIGBUS", code: 2 });
        }
      }
      isFine();
      user.must("ftruncate", fd, 4 * PAGE_SIZE);
      assert.deepEqual(
        [shared, copied].map((at) => peek(at + 3 * PAGE_SIZE)),
        [0, 0],
      );
      releaseAddressSpace(k, child);
      isFine();
    });
  }

  test("a file that the host shortens is SIGBUS beyond its new end once the guest looks at it, and zeros after it", () => {
    const { k, user, path, fd, peek, map, isFine } = openHostFile("abcd".repeat(PAGE_SIZE));
    const at = map(MAP_SHARED, 4);
    assert.equal(peek(at + 3 * PAGE_SIZE), 97);
    truncateSync(path, PAGE_SIZE + 2);
    user.must("fstat", fd, user.put(new Uint8Array(256)));
    assert.equal(handlePageFault(k, user.process.space, virtAddr(at + 3 * PAGE_SIZE), "read").kind, "signal");
    assert.deepEqual(
      [0, 1, 2, 3].map((offset) => peek(at + PAGE_SIZE + offset)),
      [97, 98, 0, 0],
    );
    isFine();
  });

  test("a mapping of a host's file that is read-only beneath cannot be written, nor made writable", () => {
    const { user, fd } = openHostFile("hello");
    user.must("close", fd);
    const readOnly = user.must("openat", AT_FDCWD, "/mnt/file", 0, 0);
    const rights = PROT_READ | PROT_WRITE;
    assert.equal(user.call("mmap", 0, PAGE_SIZE, rights, MAP_SHARED, readOnly, 0), "EACCES");
    const at = user.must("mmap", 0, PAGE_SIZE, PROT_READ, MAP_SHARED, readOnly, 0);
    assert.equal(user.call("mprotect", at, PAGE_SIZE, rights), "EACCES");
  });

  test("a host's file that loses its name keeps what its mapping writes as long as anybody has it", () => {
    const { k, user, fd, poke, map, isFine } = openHostFile("hello");
    const at = map(MAP_SHARED, 1);
    user.must("unlinkat", AT_FDCWD, "/mnt/file", 0);
    poke(at, 74);
    user.must("msync", at, PAGE_SIZE, MS_SYNC);
    user.must("munmap", at, PAGE_SIZE);
    user.must("pread64", fd, user.put("....."), 5, 0);
    assert.equal(Buffer.from(user.get(5)).toString(), "Jello");
    isFine();
    const free = freeFrameCount(k);
    user.must("close", fd);
    assert.equal(freeFrameCount(k), free);
    isFine();
  });
});
