// Every form of every x87 instruction, aliases too: all bytes after D8 to DF that the decoder knows, with the memory operand at [rdi].

import { type Decoded, newDecoded } from "../../src/isa/x86_64/decode-types.ts";
import { decode } from "../../src/isa/x86_64/decode.ts";
import { instructionOf, type MnemonicOfExtension } from "../../src/isa/x86_64/instructions.ts";

export interface Form {
  readonly mnemonic: MnemonicOfExtension<"x87">;
  readonly code: readonly number[];
  readonly decoded: Decoded;
  /** Bytes of the memory operand, or 0. */
  readonly memoryBytes: number;
}

/** D9 D8 and on are an alias of fstp that the manual leaves out; processors do not check there whether st(0) is empty. */
const UNCHECKED_FSTP = [0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf];
const FWAIT = [0x9b];
const OPERAND_PREFIX = 0x66;
/** ModRM of [rdi]. */
const AT_RDI = 7;

export const FORMS: readonly Form[] = [...allEncodings()].flatMap((code) => {
  const decoded = newDecoded();
  if (decode(Uint8Array.from(code), 0, code.length, 64, decoded) !== "ok") return [];
  const { mnemonic, extension } = instructionOf(decoded.id);
  if (extension !== "x87") return [];
  const [operand] = decoded.operands;
  const memoryBytes = decoded.base === AT_RDI ? operand.size : 0;
  return [{ mnemonic: mnemonic as Form["mnemonic"], code, decoded, memoryBytes }];
});

function* allEncodings(): Generator<readonly number[]> {
  yield FWAIT;
  for (let opcode = 0xd8; opcode <= 0xdf; opcode++) {
    for (let reg = 0; reg < 8; reg++) {
      yield [opcode, (reg << 3) | AT_RDI];
      // Environments and states have an operand size.
      if ((opcode === 0xd9 || opcode === 0xdd) && (reg === 4 || reg === 6))
        yield [OPERAND_PREFIX, opcode, (reg << 3) | AT_RDI];
    }
    for (let second = 0xc0; second <= 0xff; second++) {
      if (!(opcode === 0xd9 && UNCHECKED_FSTP.includes(second))) yield [opcode, second];
    }
  }
}
