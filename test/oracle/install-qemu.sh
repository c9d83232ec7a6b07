#!/usr/bin/env bash
# Puts a QEMU that the oracle can compare with (>= 11.0: iommu-testdev) into a cache folder outside the checkout, once. Prints the folder;
# QEMU's files are under FOLDER/root. Where this cannot be done, PINHOLE_QEMU names a qemu-system-x86_64 (>= 11.0) instead.
# Usage: install-qemu.sh [FOLDER]   (default ${XDG_CACHE_HOME:-$HOME/.cache}/pinhole/qemu)
set -euo pipefail
folder="${1:-${XDG_CACHE_HOME:-$HOME/.cache}/pinhole/qemu}"
"$(dirname "${BASH_SOURCE[0]}")/../real/install-debian.sh" "$folder" trixie-backports 1:11.0 qemu-system-x86 seabios
echo "$folder"
