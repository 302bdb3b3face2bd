#!/usr/bin/env bash
# DTLS-SRTP against OpenSSL's s_client and s_server, both roles, all profiles: the keying material
# that both ends export must be the same.
set -eu
cd "$(dirname "$0")/../.."
openssl version
exec cargo test --test dtls_openssl -- --ignored --nocapture
