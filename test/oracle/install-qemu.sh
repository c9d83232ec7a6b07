#!/usr/bin/env bash
# Puts a QEMU that the oracle can compare with (>= 11.0: iommu-testdev) into a cache folder outside the checkout, once. Prints the folder;
# QEMU's files are under FOLDER/root. Where this cannot be done, PINHOLE_QEMU or PINHOLE_QEMU_ARM name one (>= 11.0) instead.
# Usage: install-qemu.sh [x86|arm [FOLDER]]   (default x86, and ${XDG_CACHE_HOME:-$HOME/.cache}/pinhole/qemu, with -arm for arm)
set -euo pipefail
machine="${1:-x86}"
case "$machine" in
  x86) name=qemu packages=(qemu-system-x86 seabios) ;;
  arm) name=qemu-arm packages=(qemu-system-arm) ;;
  *) echo "install-qemu.sh: no QEMU for $machine" >&2; exit 2 ;;
esac
folder="${2:-${XDG_CACHE_HOME:-$HOME/.cache}/pinhole/$name}"
"$(dirname "${BASH_SOURCE[0]}")/../real/install-debian.sh" "$folder" trixie-backports 1:11.0 "${packages[@]}"
echo "$folder"
