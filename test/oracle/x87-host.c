// Executes x87 instructions on the host's processor: cases on stdin, what they leave on stdout.
//
//     case, 272 bytes:  code (8, padded with nop) | rflags (8) | rax (8) | fnsave image (112) | memory at rdi (128) | length of code (8)
//     result:           the same with what the instruction made of it
//
// The 8 bytes of code are patched into the function below, which runs between frstor and fnsave.

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct test {
  uint8_t code[8];
  uint64_t rflags;
  uint64_t rax;
  uint8_t image[112];
  uint8_t memory[128];
  uint64_t reserved;
};

void execute(struct test *);
extern uint8_t patch[];

__asm__(".pushsection .text\n"
        ".balign 4096\n"
        ".globl execute\n"
        "execute:\n"
        "  push %rbx\n"
        "  mov %rdi, %rbx\n"
        "  frstor 24(%rbx)\n"
        "  lea 136(%rbx), %rdi\n"
        "  mov 16(%rbx), %rax\n"
        "  push 8(%rbx)\n"
        "  popfq\n"
        ".globl patch\n"
        "patch:\n"
        "  .fill 8, 1, 0x90\n"
        "  pushfq\n"
        "  pop 8(%rbx)\n"
        "  mov %rax, 16(%rbx)\n"
        "  fnsave 24(%rbx)\n"
        "  pop %rbx\n"
        "  ret\n"
        ".balign 4096\n"
        ".popsection\n");

int main(void) {
  static struct test test;
  if (mprotect((void *)execute, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return 1;
  while (fread(&test, sizeof test, 1, stdin) == 1) {
    memcpy(patch, test.code, sizeof test.code);
    execute(&test);
    fwrite(&test, sizeof test, 1, stdout);
  }
  return 0;
}
