#!/usr/bin/env bash
# Unpacks Debian packages, with what they depend on, into a folder outside the checkout, once. They come from the mirror that this machine's
# own apt uses, through an apt with folders of its own: nothing is installed, the machine's package state is neither read nor changed.
# Usage: install-debian.sh FOLDER SUITE MINIMUM PACKAGE…   MINIMUM: least version of the first package, or - for any
# The files are under FOLDER/root; FOLDER/root/.complete has the first package's version.
set -euo pipefail

folder="$1"
suite="$2"
minimum="$3"
shift 3
packages=("$@")

stamp="$folder/root/.complete"
[ -e "$stamp" ] && exit 0

mkdir -p "$folder"
# Two at once would spoil each other's work; the second finds the stamp of the first.
exec 9>"$folder/lock"
flock 9
[ -e "$stamp" ] && exit 0

# An archive of Debian proper that this machine knows: any suite of it but the security one, which is another archive.
mirror="$(apt-get indextargets --format '$(SUITE) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null | grep -v -- '-security' | head -n 1 | awk '{print $NF}')" || true
if [ -z "$mirror" ]; then
  # Without package lists (a fresh image) apt does not know an archive's origin yet.
  mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | grep debian | head -n 1)" || true
fi
if [ -z "$mirror" ]; then
  echo 'install-debian.sh: apt on this machine has no Debian archive' >&2
  exit 1
fi

scratch="$folder/apt"
rm -rf "$scratch" "$folder/root.new"
mkdir -p "$scratch"/{lists/partial,cache/archives/partial,etc/preferences.d}
: >"$scratch/status"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for each in "${suite%-backports}" "$suite"; do
  echo "deb [signed-by=$keyring] $mirror $each main"
done | sort -u >"$scratch/etc/sources.list"

private_apt() {
  apt-get -qq \
    -o Dir::Etc="$scratch/etc" -o Dir::Etc::sourcelist="$scratch/etc/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State="$scratch" -o Dir::State::lists="$scratch/lists" -o Dir::State::status="$scratch/status" \
    -o Dir::Cache="$scratch/cache" -o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false \
    -o Acquire::Languages=none -o APT::Install-Recommends=false -o Acquire::Retries=3 "$@"
}

private_apt update >&2
private_apt install -y --download-only -t "$suite" "${packages[@]}" >&2

version="$(dpkg-deb -f "$scratch"/cache/archives/"${packages[0]}"_*.deb Version)"
if [ "$minimum" != - ] && dpkg --compare-versions "$version" lt "$minimum"; then
  echo "install-debian.sh: $suite has ${packages[0]} $version; needed is $minimum" >&2
  exit 1
fi

mkdir -p "$folder/root.new"
for package in "$scratch"/cache/archives/*.deb; do
  dpkg-deb -x "$package" "$folder/root.new"
done
echo "$version" >"$folder/root.new/.complete"
rm -rf "$folder/root" "$scratch"
mv "$folder/root.new" "$folder/root"
