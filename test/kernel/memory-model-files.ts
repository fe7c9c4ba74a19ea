// Files, memfds and System V segments, on the model and on the real thing.

import { FILE_NAMES, SEGMENTS, STACK_WINDOW, type Operation } from "./memory-model-operations.ts";
import {
  cellOf,
  EXECUTE,
  growStack,
  HEAD,
  objectCell,
  outcomeOf,
  PAGE,
  punchObject,
  READ,
  truncateObject,
  WRITE,
  type Cell,
  type ModelObject,
  type ModelPage,
} from "./memory-model.ts";
import { Difference, operationPage, isFree, expectSame, hex } from "./memory-model-difference.ts";
import { noteWrite, addressOf, settlePage } from "./memory-model-access.ts";
import type { Segment, Slot, World } from "./memory-model-run.ts";

const O_RDWR_CREAT = 0o102;
const PUNCH_HOLE_KEEP_SIZE = 3;
const IPC_PRIVATE = 0;
const IPC_CREAT_0600 = 0o1600;
const IPC_RMID = 0;
const AT_FDCWD = -100;
const ALL = READ | WRITE | EXECUTE;

export function fileOperation(
  world: World,
  operation: Extract<Operation, { kind: "open" | "memfd" | "close" | "truncate" | "to-file" | "from-file" | "punch" }>,
  slot: Slot,
): { page: number; pages: number } {
  const none = { page: 0, pages: 0 };
  const { model } = slot;
  if (operation.kind === "open") {
    const name = FILE_NAMES[operation.file] ?? "";
    const fd = world.must(operation, slot, "openat", AT_FDCWD, name, O_RDWR_CREAT, 0o644);
    const file = world.files.get(name) ?? { name, length: 0, isOnHost: name.startsWith("/h/"), cells: new Map() };
    world.files.set(name, file);
    model.files.set(fd, file);
    return none;
  }
  if (operation.kind === "memfd") {
    const fd = world.must(operation, slot, "memfd_create", "m", 0);
    const file: ModelObject = { name: `memfd ${world.nextName++}`, length: 0, isOnHost: false, cells: new Map() };
    model.files.set(fd, file);
    truncateFile(world, operation, slot, fd, file, operation.length);
    return none;
  }
  const file = model.files.get(operation.fd);
  if (file === undefined) return none;
  if (operation.kind === "close") {
    world.must(operation, slot, "close", operation.fd);
    model.files.delete(operation.fd);
    return none;
  }
  if (operation.kind === "punch") {
    const { fd, index, pages } = operation;
    if (file.isOnHost) return none;
    world.must(operation, slot, "fallocate", fd, PUNCH_HOLE_KEEP_SIZE, index * PAGE, pages * PAGE);
    punchObject(file, index, pages);
    return none;
  }
  if (operation.kind === "truncate") {
    truncateFile(world, operation, slot, operation.fd, file, operation.length);
    return none;
  }
  return operation.kind === "to-file"
    ? writeFile(world, operation, slot, file)
    : readFile(world, operation, slot, file);
}

export function segmentOperation(
  world: World,
  operation: Extract<Operation, { kind: "segment" | "attach" | "detach" | "remove" }>,
  slot: Slot,
): { page: number; pages: number } {
  const none = { page: 0, pages: 0 };
  if (operation.kind === "segment") {
    const length = operation.pages * PAGE;
    const id = world.must(operation, slot, "shmget", IPC_PRIVATE, length, IPC_CREAT_0600);
    const object = {
      name: `segment ${world.segments.length}`,
      length,
      isOnHost: false,
      cells: new Map<number, Cell>(),
    };
    world.segments.push({ id, object, isRemoved: false });
    return none;
  }
  if (operation.kind === "detach") return detachSegment(world, operation, slot);
  const latest = Math.max(0, world.segments.length - SEGMENTS);
  const segment = world.segments[latest + operation.segment];
  if (segment === undefined || segment.isRemoved) return none;
  if (operation.kind === "remove") {
    world.must(operation, slot, "shmctl", segment.id, IPC_RMID, 0);
    segment.isRemoved = true;
    return none;
  }
  return attachSegment(world, operation, slot, segment);
}

function attachSegment(
  world: World,
  operation: Extract<Operation, { kind: "attach" }>,
  slot: Slot,
  { id, object }: Segment,
): { page: number; pages: number } {
  const { page, anywhere } = operation;
  const { model } = slot;
  const pages = object.length / PAGE;
  const expected = !anywhere && !isFree(model, page, pages) ? "EINVAL" : 0;
  const result = world.attempt(operation, slot, expected, "shmat", id, anywhere ? 0 : page * PAGE, 0);
  if (expected !== 0) {
    expectSame("shmat", result, expected);
    return operationPage(page);
  }
  if (typeof result !== "number") throw new Difference(`shmat gave ${result}`);
  if (!anywhere) expectSame("shmat's address", result, page * PAGE);
  const at = result / PAGE;
  if (!isFree(model, at, pages)) throw new Difference(`shmat chose ${hex(result)}, where something is`);
  for (let index = 0; index < pages; index++) {
    model.pages.set(at + index, {
      rights: READ | WRITE,
      maximum: ALL,
      shared: true,
      object,
      index,
      own: undefined,
      kind: "segment",
      omittedByFork: false,
      wipedByFork: false,
    });
  }
  return { page: at, pages };
}

/** shmdt: what is left of the attachment that began at the page goes, wherever the rest of it went. */
function detachSegment(
  world: World,
  operation: Extract<Operation, { kind: "detach" }>,
  slot: Slot,
): { page: number; pages: number } {
  const { page } = operation;
  const { model } = slot;
  const isPart = ([number, entry]: readonly [number, ModelPage]): boolean =>
    entry.kind === "segment" && number >= page && number - page === entry.index;
  const parts = [...model.pages].filter(isPart).toSorted(([a], [b]) => a - b);
  const object = parts[0]?.[1].object;
  const expected = object === undefined ? "EINVAL" : 0;
  const result = world.attempt(operation, slot, expected, "shmdt", page * PAGE);
  expectSame("shmdt", result, expected);
  for (const [number, entry] of parts) if (entry.object === object) model.pages.delete(number);
  return { page, pages: 6 };
}

function truncateFile(
  world: World,
  operation: Operation,
  slot: Slot,
  fd: number,
  file: ModelObject,
  length: number,
): void {
  world.must(operation, slot, "ftruncate", fd, length);
  truncateObject(
    file,
    length,
    world.models().filter((model) => model !== undefined),
  );
}

/** The kernel reads four bytes at a user page's start into the start of a page of the file. */
export function writeFile(
  world: World,
  operation: Extract<Operation, { kind: "to-file" | "from-file" }>,
  slot: Slot,
  file: ModelObject,
): { page: number; pages: number } {
  const { fd, index, page } = operation;
  const { model } = slot;
  growStack(model, page, STACK_WINDOW);
  const isReadable = outcomeOf(model, page, "read", world.executeImpliesRead) === "done";
  const expected = isReadable ? 4 : "EFAULT";
  const result = world.attempt(operation, slot, expected, "pwrite64", fd, page * PAGE, 4, index * PAGE);
  expectSame("pwrite64", result, expected);
  const entry = model.pages.get(page);
  if (!isReadable || entry === undefined) return operationPage(page);
  settlePage(world, operation, slot, page, entry);
  const { head } = cellOf(entry);
  if (file.length < index * PAGE + 4) truncateObject(file, index * PAGE + 4, []);
  const cell = objectCell(file, index);
  if (cell.lenient === "all") cell.lenient = "tail";
  cell.head = head;
  return operationPage(page);
}

/** The kernel writes four bytes of the file to a user page's start. */
function readFile(
  world: World,
  operation: Extract<Operation, { kind: "to-file" | "from-file" }>,
  slot: Slot,
  file: ModelObject,
): { page: number; pages: number } {
  const { fd, index, page } = operation;
  const { model } = slot;
  if (file.length < index * PAGE + 4) return operationPage(page);
  growStack(model, page, STACK_WINDOW);
  const isWritable = outcomeOf(model, page, "write", world.executeImpliesRead) === "done";
  const expected = isWritable ? 4 : "EFAULT";
  const { head } = file.cells.get(index) ?? { head: 0 };
  const result = world.attempt(operation, slot, expected, "pread64", fd, page * PAGE, 4, index * PAGE);
  expectSame("pread64", result, expected);
  const entry = model.pages.get(page);
  if (isWritable && entry !== undefined) noteWrite(world, entry, HEAD, head, addressOf(world, operation, slot, page));
  return operationPage(page);
}
