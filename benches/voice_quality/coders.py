"""Codings by others, without a network: what the best receiver could make of a clip."""
import ctypes, subprocess
import numpy
from scipy.io import wavfile


def payloads(path):
    """The packets that the bench wrote, each after its length."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at:at + 2], "big")
        found.append(data[at + 2:at + 2 + size])
        at += 2 + size
    return found


def ffmpeg(data, *args):
    return subprocess.run(["ffmpeg", "-loglevel", "error", *map(str, args)], input=data, check=True,
                          stdout=subprocess.PIPE).stdout


def decoded(codec, packets, rate):
    """Packets of G.711 or G.722 by ffmpeg's decoder."""
    if codec == "PCMU":
        raw = ffmpeg(b"".join(packets), "-f", "mulaw", "-ar", 8_000, "-ac", 1, "-i", "-", "-f", "s16le", "-")
    else:
        raw = ffmpeg(b"".join(packets), "-f", "g722", "-i", "-", "-f", "s16le", "-")
    return numpy.frombuffer(raw, dtype="<i2")


def bare(codec, clip, target, rate):
    """The clip through ffmpeg's encoder and decoder of G.711 or G.722."""
    kind = "mulaw" if codec == "PCMU" else "g722"
    coded = ffmpeg(None, "-i", clip, "-f", kind, "-")
    wavfile.write(target, rate, decoded(codec, [coded], rate))


class Libopus:
    """libopus of the system (Debian's libopus0), 20 ms frames at 16 kHz, mono, for speech."""
    VOIP, SET_BITRATE, SET_COMPLEXITY = 2048, 4002, 4010
    RATE, FRAME = 16_000, 320

    def __init__(self, bitrate, complexity):
        self.lib = ctypes.CDLL("libopus.so.0")
        for name in ("opus_encoder_create", "opus_decoder_create"):
            getattr(self.lib, name).restype = ctypes.c_void_p
        error = ctypes.c_int()
        self.encoder = ctypes.c_void_p(self.lib.opus_encoder_create(self.RATE, 1, self.VOIP, ctypes.byref(error)))
        self.decoder = ctypes.c_void_p(self.lib.opus_decoder_create(self.RATE, 1, ctypes.byref(error)))
        self.lib.opus_encoder_ctl(self.encoder, self.SET_BITRATE, ctypes.c_int(bitrate))
        self.lib.opus_encoder_ctl(self.encoder, self.SET_COMPLEXITY, ctypes.c_int(complexity))

    def through(self, clip, target):
        """Encodes and decodes a clip; its mean bitrate."""
        _, pcm = wavfile.read(clip)
        heard, total = [], 0
        for at in range(0, len(pcm) - self.FRAME + 1, self.FRAME):
            frame = numpy.ascontiguousarray(pcm[at:at + self.FRAME], dtype="<i2")
            packet, out = (ctypes.c_ubyte * 1_500)(), numpy.zeros(self.FRAME, dtype="<i2")
            size = self.lib.opus_encode(self.encoder, frame.ctypes.data_as(ctypes.c_void_p), self.FRAME, packet, 1_500)
            got = self.lib.opus_decode(self.decoder, packet, size, out.ctypes.data_as(ctypes.c_void_p), self.FRAME, 0)
            if size < 0 or got < 0:
                raise RuntimeError(f"libopus: {size}, {got}")
            heard.append(out)
            total += size
        wavfile.write(target, self.RATE, numpy.concatenate(heard))
        return total * 8 / (len(pcm) / self.RATE)
