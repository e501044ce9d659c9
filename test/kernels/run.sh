#!/usr/bin/env bash
# Boots Debian's kernels in qemu, without hardware help, and runs the tests of
# internal/kernel and the collector on them:
#
#	test/kernels/run.sh COLLECTOR SERIES...      SERIES: 6.1, 6.12
#
# The kernel images are Debian's, of which nothing is installed. A machine has
# an initial file system with busybox and what is tested, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."
collector=$1
shift

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/root"/{bin,proc,sys,dev,tmp,tests,etc}
cp "$(command -v busybox)" "$work/root/bin/busybox"
cp test/kernels/init.sh "$work/root/init"
cp test/kernels/config.yaml "$work/root/tests/"
cp "$collector" "$work/root/tests/otelcol-qtap"
echo 'root:x:0:0:root:/:/bin/sh' >"$work/root/etc/passwd"
CGO_ENABLED=0 go test -c -o "$work/root/tests/kernel.test" ./internal/kernel
chmod 755 "$work/root/init"
(cd "$work/root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd"

failed=0
for series in "$@"; do
	package=$(apt-cache search --names-only "^linux-image-${series//./\\.}\\.[0-9]+[-+].*cloud-amd64\$" | awk "{ print \$1 }" | sort -V | tail -n 1)
	if [ -z "$package" ]; then
		echo "there is no package of a $series kernel (apt-get update?)" >&2
		exit 1
	fi
	mkdir -p "$work/$series"
	(cd "$work/$series" && apt-get download -qq "$package" && dpkg-deb -x ./*.deb .)
	image=$(echo "$work/$series"/boot/vmlinuz-*)
	echo "== $package"
	# Software emulation: a limit of half an hour is far from what it takes.
	timeout 1800 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -nographic -no-reboot -nodefaults \
		-serial stdio -kernel "$image" -initrd "$work/initrd" -append 'console=ttyS0 quiet panic=-1' </dev/null |
		tr -d '\r' | tee "$work/$series.log" || true
	grep -q '^RESULT kernel tests passed, capture passed$' "$work/$series.log" || failed=1
done
exit "$failed"
