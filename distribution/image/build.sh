#!/bin/bash
# Builds the image for amd64 and arm64 without a daemon, as one OCI archive:
#
#   build.sh ARCHIVE FOLDER
#
# as root, because file capabilities have to be written. FOLDER has the programs
# collector-amd64, collector-arm64, entrypoint-amd64 and entrypoint-arm64, as
# make image compiles them. The same programs and the same SOURCE_DATE_EPOCH (by
# default the time of the last commit) give the same archive, byte for byte. It
# needs buildah, setcap and Debian's ca-certificates.
set -euo pipefail

if [ $# -ne 2 ]; then
	echo "usage: $0 ARCHIVE FOLDER" >&2
	exit 2
fi
archive=$(realpath -m "$1")
programs=$(realpath "$2")
cd "$(dirname "$0")/../.."
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

# What may be used of a container's capabilities, see entrypoint/main.go.
capabilities=cap_dac_read_search,cap_sys_ptrace,cap_perfmon,cap_bpf
# Debian's certificates themselves: /etc/ssl/certs also has those that were
# added on this machine.
certificates=/usr/share/ca-certificates/mozilla
# The folders and programs of the images of the OpenTelemetry project, so that
# what is mounted and called there is found here.
replaced=(otelcol otelcol-contrib otelcol-k8s)
# The same for AWS's, which has its configuration in another place.
replaced_aws=awscollector

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

# lay_out ARCHITECTURE writes the tree of the image.
lay_out() {
	local root=$work/context/root-$1
	mkdir -p "$root"/{etc/otelcol-qtap,etc/ssl/certs,usr/bin,var/lib,tmp}
	chmod 1777 "$root/tmp"
	install -m 755 "$programs/entrypoint-$1" "$root/otelcol-qtap"
	setcap "$capabilities+p" "$root/otelcol-qtap"
	install -m 755 "$programs/collector-$1" "$root/usr/bin/otelcol-qtap"
	install -m 644 distribution/image/config.yaml "$root/etc/otelcol-qtap/config.yaml"
	# Every file ends its last line, so that they can be joined.
	find "$certificates" -name '*.crt' -print0 | LC_ALL=C sort -z | xargs -0 cat > "$root/etc/ssl/certs/ca-certificates.crt"
	# Container engines put their own in its place; without any, the Collector
	# does not find the localhost of its own metrics.
	printf '127.0.0.1 localhost\n::1 localhost\n' > "$root/etc/hosts"
	local name
	for name in "${replaced[@]}"; do
		ln -s otelcol-qtap "$root/$name"
		ln -s otelcol-qtap "$root/etc/$name"
	done
	ln -s otelcol-qtap "$root/$replaced_aws"
	ln -s otelcol-qtap/config.yaml "$root/etc/otel-config.yaml"
}

store() { buildah --storage-driver vfs --root "$work/store" --runroot "$work/run" "$@"; }

mkdir -p "$work/context/data"
for architecture in amd64 arm64; do
	lay_out "$architecture"
	store bud --quiet --isolation chroot --pull-never --arch "$architecture" --build-arg TARGETARCH="$architecture" \
		--timestamp "$epoch" --file distribution/image/Dockerfile --manifest otelcol-qtap "$work/context" >/dev/null
	rm -r "$work/context/root-$architecture"
done
store manifest push --quiet --all otelcol-qtap "oci:$work/layout:otelcol-qtap" >/dev/null

mkdir -p "$(dirname "$archive")"
tar --create --file "$archive" --directory "$work/layout" --sort=name --format=ustar \
	--mtime="@$epoch" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX oci-layout index.json blobs
# The digest of the index, by which the image is the same everywhere.
grep -o '"digest":"sha256:[0-9a-f]*"' "$work/layout/index.json" | cut -d'"' -f4
