"""Opus packets in Ogg (RFC 7845, RFC 3533), in and out; enough for one mono or stereo stream."""
import struct

CRC = []
for n in range(256):
    r = n << 24
    for _ in range(8):
        r = (r << 1) ^ 0x04C11DB7 if r & 0x80000000 else r << 1
    CRC.append(r & 0xFFFFFFFF)


def crc(data):
    r = 0
    for byte in data:
        r = ((r << 8) & 0xFFFFFFFF) ^ CRC[(r >> 24) ^ byte]
    return r


def samples(packet):
    """How long it plays, at 48 kHz (RFC 6716 §3.1)."""
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        frame = (480, 960)[config & 1]
    else:
        frame = 120 << (config & 3)
    return frame * (1, 2, 2, packet[1] & 63 if code == 3 else 0)[code]


def mode(packet):
    config = packet[0] >> 3
    return "SILK" if config < 12 else "hybrid" if config < 16 else "CELT"


def page(flags, granule, number, packet):
    sizes = [255] * (len(packet) // 255) + [len(packet) % 255]
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, 1, number, 0, len(sizes)) + bytes(sizes)
    sum_ = crc(head + packet)
    return head[:22] + struct.pack("<I", sum_) + head[26:] + packet


def write(path, packets, channels=1):
    """One packet a page; nothing is skipped at the beginning. What was not sent is an empty frame."""
    out = [page(2, 0, 0, b"OpusHead" + struct.pack("<BBHIhB", 1, channels, 0, 48000, 0, 0)),
           page(0, 0, 1, b"OpusTags" + struct.pack("<I", 4) + b"test" + struct.pack("<I", 0))]
    granule, before = 0, packets[0]
    for n, packet in enumerate(packets):
        packet = packet or bytes([before[0] & 0xFC])
        granule += samples(packet)
        out.append(page(4 if n == len(packets) - 1 else 0, granule, n + 2, packet))
        before = packet
    path.write_bytes(b"".join(out))


def read(path):
    """(samples to skip at the beginning, channels, packets)"""
    data, at, packets, part = path.read_bytes(), 0, [], b""
    while at < len(data):
        count = data[at + 26]
        sizes = data[at + 27:at + 27 + count]
        at += 27 + count
        for size in sizes:
            part += data[at:at + size]
            at += size
            if size < 255:
                packets.append(part)
                part = b""
    head = packets[0]
    return struct.unpack("<H", head[10:12])[0], head[9], packets[2:]


def read_raw(path):
    """Packets behind their lengths, as examples/opus_packets.rs has them."""
    data, at, packets = path.read_bytes(), 0, []
    while at < len(data):
        size, = struct.unpack("<I", data[at:at + 4])
        packets.append(data[at + 4:at + 4 + size])
        at += 4 + size
    return packets


def write_raw(path, packets):
    path.write_bytes(b"".join(struct.pack("<I", len(p)) + p for p in packets))
