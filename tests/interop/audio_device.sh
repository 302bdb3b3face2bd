#!/usr/bin/env bash
# Real audio devices: two softphones with a microphone and a loudspeaker each, on PulseAudio null
# sinks of a private daemon. usage: audio_device.sh [WORKDIR]
set -u
cd "$(dirname "$0")/../.." || exit 2
sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
packages=(pulseaudio pulseaudio-utils libasound2-plugins libasound2-dev sox python3 python3-numpy)
missing=()
for p in "${packages[@]}"; do dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p"); done
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing: ${missing[*]}"
  for _ in 1 2 3; do
    $sudo apt-get update -q >/dev/null 2>&1
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}" \
      >/dev/null 2>&1 && break
  done
fi
cargo build --release --example softphone --features audio-device || exit 1
# A cdylib knows the system's libraries that it needs.
cargo rustc --release --lib --crate-type cdylib --features ffi,audio-device || exit 1
built=${CARGO_TARGET_DIR:-target}/release
work=${1:-$(mktemp -d)} || exit 2
work=$(cd "$work" && pwd) || exit 2
"${CC:-cc}" -std=c99 -Wall -Wextra -Werror -Iinclude -Itests/c tests/interop/audio_device.c -L"$built" -lsubrosa \
  -Wl,-rpath,"$(cd "$built" && pwd)" -o "$work/audio_device" || exit 1
/usr/bin/python3 tests/interop/audio_device.py "$work" "$built/examples/softphone"
status=$?
echo "logs and recordings: $work"
exit $status
