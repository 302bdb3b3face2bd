#!/usr/bin/env bash
# What is checked, one subcommand a part: lint, test, c, interop, fuzz, bench, all.
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
  run no-std cargo check --no-default-features
  run firmware-features cargo check --no-default-features --features ffi
  run doc env RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib --features sim,ffi
}
tests() { run test cargo test; }
c_part() {
  run c-header cargo test --test c_header
  [ -f tests/c_abi.rs ] && run c-tests cargo test --test c_abi
  [ -x tests/c/run.sh ] && need valgrind && run c-memory tests/c/run.sh
  return 0
}
interop() { run interop tests/interop/run.sh; }
fuzz() { # each target for FUZZ_SECONDS on the nightly toolchain
  cargo fuzz --version >/dev/null 2>&1 || run install-cargo-fuzz cargo install -q cargo-fuzz
  local target
  for target in $(sed -n 's/^name = "\(.*\)"/\1/p' fuzz/Cargo.toml | grep -v '^subrosa-fuzz$'); do
    run "fuzz-$target" cargo +nightly fuzz run "$target" -- -max_total_time="${FUZZ_SECONDS:-600}" -rss_limit_mb=2048
  done
}
bench() {
  run bench cargo bench
  [ -d benches/peers ] && run bench-peers cargo bench --manifest-path benches/peers/Cargo.toml
}

case "${1:-}" in
  lint) lint ;;
  test) tests ;;
  c) c_part ;;
  interop) interop ;;
  fuzz) fuzz ;;
  bench) bench ;;
  all) lint; tests; c_part; interop; fuzz; bench ;;
  *) echo "usage: ./ci.sh lint|test|c|interop|fuzz|bench|all"; exit 2 ;;
esac
if [ ${#failed[@]} -gt 0 ]; then printf '\nFAILED: %s\n' "${failed[*]}"; exit 1; fi
printf '\nall parts passed\n'
