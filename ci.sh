#!/usr/bin/env bash
# What is checked, one subcommand a part: lint, test, sim, c, srtp, interop,
# audio, fuzz, bench, voice, all. `voice` is not in `all`: it takes ten minutes of real time and is
# disturbed by whatever else runs.
# Each part prints what failed and ends with a non-zero status if anything did.
set -u
cd "$(dirname "$0")" || exit 2
failed=()
run() { # name, command...
  local name=$1; shift
  printf '\n== %s: %s\n' "$name" "$*"
  if "$@"; then printf '== %s: ok\n' "$name"; else printf '== %s: FAILED\n' "$name"; failed+=("$name"); fi
}
need() { # Debian packages, installed only where missing; a mirror hiccup gets a second try
  local missing=() p
  for p in "$@"; do dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p"); done
  [ ${#missing[@]} = 0 ] && return 0
  echo "installing: ${missing[*]}"
  local sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  local try; for try in 1 2 3; do
    $sudo apt-get update -q >/dev/null 2>&1
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -yq "${missing[@]}" >/dev/null 2>&1 && return 0
  done
  echo "could not install: ${missing[*]}"; return 1
}

lint() {
  run fmt cargo fmt --all --check
  run clippy cargo clippy --all-targets -- -D warnings
  run clippy-provisioning cargo clippy --all-targets --features provisioning,serde -- -D warnings
  run no-std cargo check --no-default-features
  run firmware-features cargo check --no-default-features --features ffi
  if pkg-config --exists alsa 2>/dev/null; then
    run audio-device cargo clippy --lib --features audio-device -- -D warnings
  else
    echo "audio-device is not checked: it needs libasound2-dev and pkg-config"
  fi
  run firmware-opus cargo check --no-default-features --features ffi,opus
  if command -v cmake >/dev/null; then
    run clippy-libopus cargo clippy --lib --test opus_codec --test opus_session --features libopus -- -D warnings
  else
    echo "libopus is not checked: it needs cmake"
  fi
  run fuzz-targets cargo check --manifest-path fuzz/Cargo.toml
  run peers cargo check --manifest-path benches/peers/Cargo.toml --no-default-features --features sip --benches
  run opus-copy cargo test --manifest-path benches/peers/Cargo.toml --no-default-features --features opus \
    --test opus_copy
  run vendor vendor_differs_as_said
  run doc env RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib --features sim,ffi,provisioning,serde
}
vendor_differs_as_said() { # beside the source that opus-copy has fetched: the files that PATCHES.md names
  local published said found
  published=$(ls -d "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/opus-pure-0.2.2 2>/dev/null | head -n 1)
  [ -n "$published" ] || { echo "the published opus-pure is not there"; return 1; }
  said=$(sed -n 's/^- `\(src[^`]*\)`.*/\1/p' vendor/opus-pure/PATCHES.md | sort)
  found=$(cd "$published" && diff -rq src "$OLDPWD/vendor/opus-pure/src" | sed -n 's/^Files \(src[^ ]*\) and .*/\1/p; /^Only in/p' | sort)
  diff <(echo "$said") <(echo "$found") || return 1
  local file; for file in LICENSE ATTRIBUTION.md CHANGELOG.md README.md; do
    cmp "$published/$file" "vendor/opus-pure/$file" || return 1
  done
}
tests() {
  run test cargo test
  run test-tls-features cargo test --features aws-lc,platform-roots --test tls --test tls_rules \
    --test tls_engines --test tls_hybrid --test platform_roots
  run test-provisioning cargo test --features provisioning --test provisioning \
    --test softphone_provision --test softphone_cli
  run test-serde cargo test --features serde --lib engine::report
  if command -v cmake >/dev/null; then
    run test-libopus cargo test --features libopus --test opus_codec --test opus_session --test no_alloc_opus \
      --test no_alloc_media
  fi
  run test-report-serde cargo test --features serde --test report_serde
}
sim() { # calls with an attacker on the path; SUBROSA_SEEDS says how many
  run sim env SUBROSA_SEEDS="${SUBROSA_SEEDS:-10000}" \
    cargo test --release --test sim_hostile -- --nocapture
}
c_part() {
  run c-header cargo test --test c_header
  [ -f tests/c_abi.rs ] && run c-tests cargo test --test c_abi
  [ -x tests/c/run.sh ] && need valgrind && run c-memory tests/c/run.sh
  return 0
}
srtp() { # a million random packets through our SRTP and libsrtp: same verdicts, same bytes
  need libclang-dev libssl-dev pkg-config make
  run srtp-differential env SRTP_DIFFERENTIAL_PACKETS="${SRTP_DIFFERENTIAL_PACKETS:-1000000}" \
    cargo test --release --features libsrtp --test srtp_differential
}
interop() { run interop tests/interop/run.sh; }
audio() { # real devices: libasound2-dev for cpal, PulseAudio null sinks for sound without a card
  need libasound2-dev || { failed+=(audio); return 1; }
  run audio-clippy cargo clippy --features audio-device --all-targets -- -D warnings
  run audio-devices tests/interop/audio_device.sh
}
fuzz() { # each target for FUZZ_SECONDS on the nightly toolchain; FUZZ_TARGETS="a b" for some of them
  cargo fuzz --version >/dev/null 2>&1 || run install-cargo-fuzz cargo install -q cargo-fuzz
  local target all log dict summary=()
  all=$(sed -n 's/^name = "\(.*\)"/\1/p' fuzz/Cargo.toml | grep -v '^subrosa-fuzz$')
  for target in ${FUZZ_TARGETS:-$all}; do
    log=fuzz/target/$target.log
    mkdir -p "fuzz/corpus/$target" fuzz/target
    dict=()
    case $target in
      sip_*|engine) dict=(-dict=fuzz/sip.dict) ;;
      sdp) dict=(-dict=fuzz/sdp.dict) ;;
    esac
    run "fuzz-$target" fuzz_one "$target" "$log" "${dict[@]}"
    summary+=("$(awk -v t="$target" '
      / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
      /^Done / { runs = $2; seconds = $5 }
      END { printf "%-16s %12s executions %6s coverage %6s seconds", t, runs, cov, seconds }' "$log")")
  done
  printf '\n'; printf '%s\n' "${summary[@]}"
}
fuzz_one() { # target, log, options...
  local target=$1 log=$2; shift 2
  local corpus=("fuzz/corpus/$target")
  [ -d "fuzz/seeds/$target" ] && corpus+=("fuzz/seeds/$target")
  cargo +nightly fuzz run "$target" "${corpus[@]}" -- \
    -max_total_time="${FUZZ_SECONDS:-600}" -rss_limit_mb=2048 -timeout=20 -max_len=8192 "$@" \
    >"$log" 2>&1 && return 0
  tail -n 40 "$log"; return 1
}
bench() {
  run bench cargo bench
  [ -d benches/peers ] && run bench-peers cargo bench --manifest-path benches/peers/Cargo.toml
}
voice() { # the voice path on recorded speech, beside libopus, baresip and crate neteq
  run voice benches/voice_quality/run.sh
}

case "${1:-}" in
  lint) lint ;;
  test) tests ;;
  sim) sim ;;
  c) c_part ;;
  srtp) srtp ;;
  interop) interop ;;
  audio) audio ;;
  fuzz) fuzz ;;
  bench) bench ;;
  voice) voice ;;
  all) lint; tests; sim; c_part; srtp; interop; audio; FUZZ_SECONDS="${FUZZ_SECONDS:-60}" fuzz; bench ;;
  *) echo "usage: ./ci.sh lint|test|sim|c|srtp|interop|audio|fuzz|bench|voice|all"; exit 2 ;;
esac
if [ ${#failed[@]} -gt 0 ]; then printf '\nFAILED: %s\n' "${failed[*]}"; exit 1; fi
printf '\nall parts passed\n'
