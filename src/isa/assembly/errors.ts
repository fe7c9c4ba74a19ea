// What an assembler says is wrong.

/** What is wrong with an instruction or directive; the assembler adds the line. */
export class OperandError extends Error {
  override readonly name = "OperandError";
}

/** What is wrong with a line of assembly. */
export class AssemblyError extends Error {
  override readonly name = "AssemblyError";
  readonly line: number;
  readonly text: string;

  constructor(message: string, line: number, text: string) {
    super(`line ${line}: ${message}: ${text}`);
    this.line = line;
    this.text = text;
  }
}
