#!/usr/bin/env bash
# The C programs under valgrind, and under AddressSanitizer and UBSan where the compiler has them.
set -eu
cd "$(dirname "$0")/../.."
cargo rustc -q --lib --features sim,ffi --crate-type staticlib
lib=${CARGO_TARGET_DIR:-target}/debug/libsubrosa.a
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
flags="-std=c11 -g -Wall -Wextra -Werror -Iinclude"
status=0
try() { local what=$1; shift; if "$@" >"$out/log" 2>&1; then echo "ok: $what"; else echo "FAILED: $what"; cat "$out/log"; status=1; fi; }
data=$out/data; cp -r tests/data/sim "$data"
# The two phones live in real time, which valgrind cannot keep up with: sanitizers only. The same
# calls in virtual time, and every byte that they send, are what two_engines has valgrind look at.
real_time=two_phones
sanitizers=
echo 'int main(void){return 0;}' >"$out/probe.c"
cc -fsanitize=address,undefined "$out/probe.c" -o "$out/probe" 2>/dev/null && "$out/probe" && sanitizers=-fsanitize=address,undefined
# What valgrind would misjudge in ring's assembly for x86-64 is put in order first: see ghash.S.
wrap=
ghash=$(nm "$lib" 2>/dev/null | sed -n 's/.* T \(.*gcm_ghash_avx\)$/\1/p' | head -n 1)
if [ -n "$ghash" ]; then
  cc -c -DWRAP="__wrap_$ghash" -DREAL="__real_$ghash" tests/c/ghash.S -o "$out/ghash.o"
  wrap="-Wl,--wrap=$ghash $out/ghash.o"
fi
for source in tests/c/*.c; do
  name=$(basename "$source" .c)
  # shellcheck disable=SC2086
  cc $flags "$source" examples/c/wav.c $wrap "$lib" -lpthread -ldl -lm -o "$out/$name"
  [ "$name" = "$real_time" ] || try "$name under valgrind" valgrind -q --suppressions=tests/c/valgrind.supp --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,indirect "$out/$name" "$data"
  [ -n "$sanitizers" ] || { echo "no sanitizers in cc: skipped"; continue; }
  # shellcheck disable=SC2086
  cc $flags $sanitizers -fno-sanitize-recover=all "$source" examples/c/wav.c "$lib" -lpthread -ldl -lm -o "$out/$name-asan"
  try "$name under sanitizers" "$out/$name-asan" "$data"
done
exit $status
