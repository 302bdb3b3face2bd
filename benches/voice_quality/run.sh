#!/usr/bin/env bash
# Measures the voice path on recorded speech beside libopus, ffmpeg, baresip and crate neteq, in one
# run: prints a table, and leaves recordings and a page in target/voice_quality. Installs what it
# needs: Debian packages, and Python packages in a folder of its own under target.
set -eu
cd "$(dirname "$0")/../.."
here=benches/voice_quality
out=$PWD/target/voice_quality
mkdir -p "$out"

missing=()
for p in baresip-core ffmpeg libopus0 python3-venv gcc cmake dpkg; do
  dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p")
done
sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing: ${missing[*]}"
  for _ in 1 2 3; do
    $sudo apt-get update -q >/dev/null 2>&1 || true
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -yq "${missing[@]}" >/dev/null 2>&1 && break
  done
fi

stamp=$out/venv/$(sha256sum $here/requirements.txt | cut -c1-16)
if [ ! -f "$stamp" ]; then
  python3 -m venv --clear "$out/venv"
  "$out/venv/bin/pip" install -q --disable-pip-version-check -r $here/requirements.txt
  touch "$stamp"
fi

program=$(cargo bench -q --manifest-path benches/peers/Cargo.toml --no-default-features \
  --features quality --bench voice_quality --no-run --message-format=json |
  "$out/venv/bin/python" -c 'import json, sys
for line in sys.stdin:
    built = json.loads(line)
    if built.get("executable") and built["target"]["name"] == "voice_quality":
        print(built["executable"])')
exec "$out/venv/bin/python" $here/main.py "$program" "$out"
