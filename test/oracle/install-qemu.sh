#!/usr/bin/env bash
# Puts a QEMU that the oracle can compare with (>= 11.0: iommu-testdev) into a cache folder outside the checkout, once.
# Packages come from the Debian mirror that this machine's own apt uses, through an apt with folders of its own: nothing is installed,
# the machine's package state is neither read nor changed. Prints the folder; QEMU's files are under FOLDER/root.
# Usage: install-qemu.sh [FOLDER]   (default ${XDG_CACHE_HOME:-$HOME/.cache}/pinhole/qemu)
set -euo pipefail

suite=trixie
minimum=1:11.0
packages=(qemu-system-x86 seabios)

folder="${1:-${XDG_CACHE_HOME:-$HOME/.cache}/pinhole/qemu}"
stamp="$folder/root/.complete"
if [ -e "$stamp" ]; then
  echo "$folder"
  exit 0
fi

mkdir -p "$folder"
# Two at once would spoil each other's work; the second finds the stamp of the first.
exec 9>"$folder/lock"
flock 9
if [ -e "$stamp" ]; then
  echo "$folder"
  exit 0
fi

# An archive of Debian proper that this machine knows: any suite of it but the security one, which is another archive.
mirror="$(apt-get indextargets --format '$(SUITE) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null | grep -v -- '-security' | head -n 1 | awk '{print $NF}')" || true
if [ -z "$mirror" ]; then
  # Without package lists (a fresh image) apt does not know an archive's origin yet.
  mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | grep debian | head -n 1)" || true
fi
if [ -z "$mirror" ]; then
  echo 'install-qemu.sh: apt on this machine has no Debian archive; set PINHOLE_QEMU to a qemu-system-x86_64 (>= 11.0) instead' >&2
  exit 1
fi

scratch="$folder/apt"
rm -rf "$scratch" "$folder/root.new"
mkdir -p "$scratch"/{lists/partial,cache/archives/partial,etc/preferences.d}
: >"$scratch/status"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for each in "$suite" "$suite-backports"; do
  echo "deb [signed-by=$keyring] $mirror $each main"
done >"$scratch/etc/sources.list"

private_apt() {
  apt-get -qq \
    -o Dir::Etc="$scratch/etc" -o Dir::Etc::sourcelist="$scratch/etc/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State="$scratch" -o Dir::State::lists="$scratch/lists" -o Dir::State::status="$scratch/status" \
    -o Dir::Cache="$scratch/cache" -o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false \
    -o Acquire::Languages=none -o APT::Install-Recommends=false -o Acquire::Retries=3 "$@"
}

private_apt update >&2
private_apt install -y --download-only -t "$suite-backports" "${packages[@]}" >&2

version="$(dpkg-deb -f "$scratch"/cache/archives/qemu-system-x86_*.deb Version)"
if dpkg --compare-versions "$version" lt "$minimum"; then
  echo "install-qemu.sh: $suite-backports has QEMU $version; the oracle needs $minimum" >&2
  exit 1
fi

mkdir -p "$folder/root.new"
for package in "$scratch"/cache/archives/*.deb; do
  dpkg-deb -x "$package" "$folder/root.new"
done
echo "$version" >"$folder/root.new/.complete"
rm -rf "$folder/root" "$scratch"
mv "$folder/root.new" "$folder/root"
echo "$folder"
