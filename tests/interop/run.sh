#!/usr/bin/env bash
# Foreign peers on loopback: Kamailio, baresip, SIPp, tshark against the softphone example; Opus against
# opus-tools and ffmpeg.
set -u
cd "$(dirname "$0")/../.." || exit 2
sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
packages=(baresip kamailio kamailio-tls-modules kamailio-extra-modules sip-tester tshark sox openssl
  opus-tools ffmpeg python3 python3-numpy)
missing=()
for p in "${packages[@]}"; do dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p"); done
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing: ${missing[*]}"
  for _ in 1 2 3; do
    $sudo apt-get update -q >/dev/null 2>&1
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -yq "${missing[@]}" >/dev/null 2>&1 && break
  done
fi
cargo build --features provisioning --example softphone || exit 1
# Both backends of Opus where libopus can be built; softphone stays as it is.
if command -v cmake >/dev/null; then
  cargo build --features libopus --example opus_packets || exit 1
else
  echo "libopus is not compared: it needs cmake"
  cargo build --example opus_packets || exit 1
fi
work=$(mktemp -d) || exit 2
tests/interop/certs.sh "$work/certs" || exit 1
/usr/bin/python3 tests/interop/all.py "$work" "$@"
status=$?
echo "logs and recordings: $work"
exit $status
