// Reference counts of open files, pipes and descriptors under random traffic of several processes.

import assert from "node:assert/strict";
import fc from "fast-check";
import { checkFileInvariants } from "../../src/kernel/fs/checker.ts";
import { cloneFileTable, releaseFileTable } from "../../src/kernel/fs/descriptors.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { eachArch } from "../support/architectures.ts";
import { AT_FDCWD, BUFFER, createFileKernel, type User } from "../support/file-kernel.ts";

const fd = fc.nat(12);
const action = fc.oneof(
  fc.record({ kind: fc.constantFrom("open", "unlink", "fifo-read", "fifo-both", "pipe", "epoll", "eventfd"), fd }),
  fc.record({ kind: fc.constantFrom("close", "dup", "write", "read", "truncate"), fd }),
  fc.record({ kind: fc.constantFrom("dup3", "close-range"), fd, to: fd }),
  fc.record({ kind: fc.constantFrom("fork", "exit"), fd }),
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T & { to?: number } : never;

function act(user: User, { kind, fd: number, to }: Action): void {
  switch (kind) {
    case "open":
      user.call("openat", AT_FDCWD, `/file${number % 3}`, 0o102, 0o644);
      break;
    case "unlink":
      user.call("unlinkat", AT_FDCWD, `/file${number % 3}`, 0);
      break;
    case "fifo-read":
      user.call("openat", AT_FDCWD, "/fifo", 0o4000, 0);
      break;
    case "fifo-both":
      user.call("openat", AT_FDCWD, "/fifo", 0o4002, 0);
      break;
    case "pipe":
      user.call("pipe2", BUFFER, 0o4000);
      break;
    case "epoll":
      user.call("epoll_create1", 0);
      break;
    case "eventfd":
      user.call("eventfd2", 1, 0o4000);
      break;
    case "close":
      user.call("close", number);
      break;
    case "dup":
      user.call("dup", number);
      break;
    case "dup3":
      user.call("dup3", number, to ?? 0, 0);
      break;
    case "close-range":
      user.call("close_range", number, to ?? 0, 0);
      break;
    case "write":
      user.call("write", number, BUFFER, 5000);
      break;
    case "read":
      user.call("read", number, BUFFER, 5000);
      break;
    case "truncate":
      user.call("ftruncate", number, 100);
      break;
    default:
      break;
  }
}

eachArch(({ arch, test }) => {
  test("INV-40, INV-41, INV-43: counts stay right whatever processes do with their descriptors, and nothing is left over", () => {
    const files = createFileKernel(arch);
    const { k, user } = files;
    user.must("mknodat", AT_FDCWD, "/fifo", 0o010644, 0);
    const users = [user, files.addProcess(), files.addProcess()];
    for (const each of users) each.put(new Uint8Array(8192));
    const before = freeFrameCount(k);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2), action), { maxLength: 60 }), (steps) => {
        for (const [who, todo] of steps) {
          const [chosen, other] = [users[who], users[(who + 1) % users.length]];
          assert.ok(chosen !== undefined && other !== undefined);
          if (todo.kind === "fork") {
            releaseFileTable(k, other.process);
            other.process.files = cloneFileTable(k, chosen.process.files);
          } else if (todo.kind === "exit") {
            chosen.call("close_range", 0, 1000, 0);
          } else act(chosen, todo);
          assert.deepEqual(checkFileInvariants(k), []);
        }
        for (const each of users) each.call("close_range", 0, 1000, 0);
        for (const name of ["/file0", "/file1", "/file2"]) user.call("unlinkat", AT_FDCWD, name, 0);
        assert.deepEqual(checkFileInvariants(k), []);
        assert.equal(k.state.files.openFiles.size, 0);
        assert.equal(k.state.files.pipes.size, 0);
        assert.equal(freeFrameCount(k), before);
      }),
      { numRuns: 150 },
    );
  });
});
