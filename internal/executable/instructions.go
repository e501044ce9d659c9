package executable

import (
	"bytes"
	"debug/elf"

	"golang.org/x/arch/x86/x86asm"
)

// returns gives the offsets in the code of all return instructions, in order.
// nil when an instruction cannot be decoded: a return that is overlooked would
// leave its call open.
func (b *binary) returns(code []byte) []uint64 {
	if b.elf.Machine == elf.EM_AARCH64 {
		return returnsARM64(code)
	}
	var found []uint64
	for at := 0; at < len(code); {
		instruction, err := x86asm.Decode(code[at:], 64)
		if err != nil {
			return nil
		}
		if instruction.Op == x86asm.RET {
			found = append(found, uint64(at))
		}
		at += instruction.Len
	}
	return found
}

// returnsARM64 looks for RET (Arm Architecture Reference Manual, C6.2), which
// Go always uses with the link register.
func returnsARM64(code []byte) []uint64 {
	const instructionBytes, ret = 4, 0xd65f03c0
	var found []uint64
	for at := 0; at+instructionBytes <= len(code); at += instructionBytes {
		if little.Uint32(code[at:]) == ret {
			found = append(found, uint64(at))
		}
	}
	return found
}

// beginsLikeGo tells whether code begins with the check of the stack's room,
// which every Go function with a frame has (cmd/internal/obj: stacksplit).
func (b *binary) beginsLikeGo(code []byte) bool {
	if b.elf.Machine == elf.EM_AARCH64 {
		return bytes.HasPrefix(code, []byte{0x90, 0x0b, 0x40, 0xf9}) // MOVD 16(R28), R16
	}
	return bytes.HasPrefix(code, []byte{0x49, 0x3b, 0x66, 0x10}) || // CMPQ SP, 16(R14)
		bytes.HasPrefix(code, []byte{0x4c, 0x8d, 0x64, 0x24}) || // LEAQ -frame(SP), R12
		bytes.HasPrefix(code, []byte{0x4c, 0x8d, 0xa4, 0x24})
}
