// What the archive readers throw at the first byte that makes no sense.

/** Never leaves loadArchive, which turns it into a message. */
export class ArchiveFormatError extends Error {
  override readonly name = "ArchiveFormatError";
}
