package kernel

//go:generate go tool -modfile=../../tools/go.mod bpf2go -go-package kernel -cc clang-14 -strip llvm-strip-14 -target amd64,arm64 -no-global-types -type counts qtap ../../bpf/qtap.bpf.c -- -I../../bpf -O2 -g -mcpu=v3 -Wall -Werror -fdebug-prefix-map=../../bpf=bpf
