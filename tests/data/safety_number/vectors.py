#!/usr/bin/env python3
"""Safety numbers by the text of src/crypto/safety_number.rs, with nothing but hashlib.

Writes vectors.json beside itself; run it again after a change of the construction.
"""

import hashlib
import json
import pathlib


def half(fingerprint: bytes, identifier: str) -> bytes:
    value = hashlib.sha512(b"\x00\x01" + fingerprint + identifier.encode() + fingerprint).digest()
    for _ in range(5199):
        value = hashlib.sha512(value + fingerprint).digest()
    return value


def digits(value: bytes) -> str:
    pieces = (value[i : i + 5] for i in range(0, 30, 5))
    return "".join(f"{int.from_bytes(piece, 'big') % 100000:05d}" for piece in pieces)


def sdp(fingerprint: bytes) -> str:
    return "sha-256 " + ":".join(f"{byte:02X}" for byte in fingerprint)


def vector(own: bytes, own_id: str, peer: bytes, peer_id: str) -> dict:
    ours, theirs = half(own, own_id), half(peer, peer_id)
    number = "".join(sorted([digits(ours), digits(theirs)]))
    return {
        "own_fingerprint": sdp(own),
        "own_id": own_id,
        "peer_fingerprint": sdp(peer),
        "peer_id": peer_id,
        "number": " ".join(number[i : i + 5] for i in range(0, 60, 5)),
        "scan": "01" + ours[:32].hex() + theirs[:32].hex(),
    }


def main() -> None:
    alice = hashlib.sha256(b"alice's certificate").digest()
    bob = hashlib.sha256(b"bob's certificate").digest()
    vectors = [
        vector(alice, "sip:alice@example.com", bob, "sip:bob@example.com"),
        vector(bob, "sip:bob@example.com", alice, "sip:alice@example.com"),
        vector(bytes(32), "a", bytes([255] * 32), "b"),
        vector(bytes(range(32)), "sip:jürgen@example.com", bytes(range(32)), "+493012345"),
    ]
    path = pathlib.Path(__file__).with_name("vectors.json")
    path.write_text(json.dumps(vectors, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
