"""Opus against other people's: opusenc and opusdec (libopus 1.3.1), ffmpeg's own decoder.

Each backend of ours encodes, they decode; they encode, each backend of ours decodes. Decoders are
compared sample by sample: the signal-to-noise ratio of what ours make beside what libopus makes of the
same packets. ffmpeg brings SILK to 48 kHz by another filter, so that its sound is compared, not its
wave."""
import subprocess, wave
import numpy
import oggopus
from cases import CLIPS, PROJECT, case, folder, must
from lab import likeness, sox

TOOL = PROJECT / "target/debug/examples/opus_packets"
SAME = 80  # dB; measured 105 to 119
LIKE = 0.95  # of the sound; measured 0.98 and more, 0.4 for other words
BACKENDS = subprocess.run([TOOL, "backends"], check=True, capture_output=True, text=True).stdout.split()


def run(*argv):
    done = subprocess.run([str(a) for a in argv], capture_output=True)
    must(done.returncode == 0, f"{argv[0]}: {done.stderr.decode(errors='replace')[-300:]}")


def ours(what, source, target, **settings):
    run(TOOL, what, source, target, *[f"{key}={value}" for key, value in settings.items()])


def pcm(path):
    with wave.open(str(path)) as w:
        found = numpy.frombuffer(w.readframes(w.getnframes()), dtype="<i2").astype(float)
        return found.reshape(-1, w.getnchannels()).mean(axis=1)


def snr(wanted, got):
    must(abs(len(wanted) - len(got)) < 6000, f"{len(wanted)} and {len(got)} samples")
    n = min(len(wanted), len(got))
    wanted, noise = wanted[:n], wanted[:n] - got[:n]
    return 10 * numpy.log10((wanted ** 2).sum() / max((noise ** 2).sum(), 1))


def clip(base, rate):
    """Somebody speaks, is silent for two seconds, and speaks again."""
    path = base / f"said-{rate}.wav"
    if not path.exists():
        sox(CLIPS[-1], "-r", rate, "-c", 1, "-b", 16, path, "trim", 0, 4.5, "pad", "2@2.2")
    return path


def opusdec(ogg, wav, rate=48000):
    run("opusdec", "--quiet", "--no-dither", "--rate", rate, ogg, wav)
    return pcm(wav)


def ffmpeg(ogg, wav, codec):
    run("ffmpeg", "-y", "-loglevel", "error", "-c:a", codec, "-i", ogg, "-c:a", "pcm_s16le", "-ar", 48000, wav)
    return pcm(wav)


# What is encoded by us: rate, packet in ms, bit/s, and what else.
ENCODED = [
    dict(rate=8000, ms=20, bitrate=12000), dict(rate=16000, ms=10, bitrate=20000),
    dict(rate=16000, ms=20, bitrate=16000, loss=15), dict(rate=16000, ms=20, bitrate=16000, dtx=1),
    dict(rate=16000, ms=60, bitrate=14000), dict(rate=24000, ms=40, bitrate=16000),
    dict(rate=24000, ms=20, bitrate=28000), dict(rate=48000, ms=10, bitrate=32000),
    dict(rate=48000, ms=20, bitrate=24000), dict(rate=48000, ms=20, bitrate=32000, cbr=1),
    dict(rate=48000, ms=20, bitrate=96000), dict(rate=48000, ms=10, bitrate=128000),
    dict(rate=48000, ms=60, bitrate=40000), dict(rate=48000, ms=120, bitrate=24000),
]


@case
def opus_of_ours_is_decoded_by_others():
    base, modes, least = folder("opus-out"), set(), {"libopus": 999.0, "ffmpeg": 1.0}
    for backend in BACKENDS:
        for n, settings in enumerate(ENCODED):
            source, name = clip(base, settings["rate"]), base / f"{backend}-{n}"
            raw, ogg = name.with_suffix(".pkt"), name.with_suffix(".opus")
            ours("encode", source, raw, backend=backend, **settings)
            packets = oggopus.read_raw(raw)
            modes |= {oggopus.mode(p) for p in packets if p}
            must(all(oggopus.samples(p) == settings["ms"] * 48 for p in packets if p), f"lengths: {settings}")
            silent = packets.count(b"")
            must(silent > 50 if "dtx" in settings else silent == 0, f"{silent} are not sent: {settings}")
            oggopus.write(ogg, packets)
            oggopus.write_raw(raw, oggopus.read(ogg)[2])  # what was not sent is an empty frame now
            theirs = opusdec(ogg, name.with_suffix(".opusdec.wav"))
            ffmpeg = name.with_suffix(".ffmpeg.wav")
            run("ffmpeg", "-y", "-loglevel", "error", "-c:a", "opus", "-i", ogg, "-c:a", "pcm_s16le", ffmpeg)
            for by in BACKENDS:
                wav = name.with_suffix(f".{by}.wav")
                ours("decode", raw, wav, backend=by)
                same = snr(theirs, pcm(wav))
                if "dtx" not in settings:  # each decoder makes up its own noise for what was not sent
                    must(same > SAME, f"{backend} by {by} beside libopus: {same:.1f} dB: {settings}")
                    least["libopus"] = min(least["libopus"], same)
            for heard in (wav, name.with_suffix(".opusdec.wav"), ffmpeg):
                like = likeness(source, heard)
                must(like > LIKE, f"{backend} by {heard.name}: {like:.3f}: {settings}")
                least["ffmpeg"] = min(least["ffmpeg"], like)
    must(modes == {"SILK", "hybrid", "CELT"}, f"only {modes}")
    return (f"{len(ENCODED)} settings of {' and '.join(BACKENDS)}: our decoders beside libopus's {least['libopus']:.0f} dB"
            f" and more, the sound as it was said {least['ffmpeg']:.3f} and more (libopus, ffmpeg)")


@case
def opus_of_others_is_decoded_by_us():
    base, modes, least = folder("opus-in"), set(), 999.0
    source, files = clip(base, 48000), []
    for ms in (2.5, 5, 10, 20, 40, 60):
        for bitrate in (12, 24, 40, 96):
            files.append(base / f"opusenc-{ms}-{bitrate}.opus")
            run("opusenc", "--quiet", "--framesize", ms, "--bitrate", bitrate, "--speech", source, files[-1])
    for ms, application, more in ((20, "voip", ["-fec", 1, "-packet_loss", 20]), (60, "audio", []),
                                  (120, "voip", []), (10, "lowdelay", [])):
        files.append(base / f"ffmpeg-{ms}-{application}.opus")
        run("ffmpeg", "-y", "-loglevel", "error", "-i", source, "-c:a", "libopus", "-b:a", 24000,
            "-frame_duration", ms, "-application", application, *more, files[-1])
    stereo = base / "stereo.wav"
    sox("-M", source, source, stereo, "delay", 0, 0.01)
    files.append(base / "stereo.opus")
    run("opusenc", "--quiet", "--bitrate", 64, stereo, files[-1])
    for ogg in files:
        _, channels, packets = oggopus.read(ogg)
        modes |= {oggopus.mode(p) for p in packets}
        raw, whole = ogg.with_suffix(".pkt"), ogg.with_suffix(".whole.opus")
        oggopus.write_raw(raw, packets)
        oggopus.write(whole, packets, channels)  # nothing is skipped at the beginning
        theirs = opusdec(whole, ogg.with_suffix(".opusdec.wav"))
        for by in BACKENDS:
            wav = ogg.with_suffix(f".{by}.wav")
            ours("decode", raw, wav, backend=by)
            same = snr(theirs, pcm(wav))
            # Mono is made of stereo within our decoders, of what it says by libopus here.
            must(same > (SAME if channels == 1 else 25), f"{ogg.name} by {by}: {same:.1f} dB")
            least = min(least, same) if channels == 1 else least
            like = likeness(source, wav)
            must(like > LIKE, f"{ogg.name} by {by}: {like:.3f}")
    must(modes == {"SILK", "hybrid", "CELT"}, f"only {modes}")
    return f"{len(files)} files by {' and '.join(BACKENDS)}: {least:.0f} dB and more beside libopus's own decoder"


@case
def opus_lost_packets_are_found_in_the_next_ones():
    """Error correction of libopus's encoder, taken out by our decoders, and that of ours by both."""
    base, notes = folder("opus-fec"), []
    source = clip(base, 16000)
    theirs = base / "theirs.opus"
    run("ffmpeg", "-y", "-loglevel", "error", "-i", source, "-c:a", "libopus", "-b:a", 24000, "-application", "voip",
        "-fec", 1, "-packet_loss", 20, theirs)
    oggopus.write_raw(base / "theirs.pkt", oggopus.read(theirs)[2])
    for backend in BACKENDS:
        ours("encode", source, base / f"{backend}.pkt", backend=backend, rate=16000, bitrate=24000, loss=20)
    for raw in [base / "theirs.pkt", *[base / f"{backend}.pkt" for backend in BACKENDS]]:
        for by in BACKENDS:
            heard = []
            for settings in (dict(), dict(lose=10), dict(lose=10, fec=1)):
                wav = base / f"{raw.stem}.{by}.{len(heard)}.wav"
                ours("decode", raw, wav, backend=by, rate=16000, **settings)
                heard.append(pcm(wav))
            whole, concealed, found = heard
            lost = numpy.zeros(len(whole), bool)
            for at in range(9 * 320, len(whole), 3200):
                lost[at:at + 320] = True
            before, after = snr(whole[lost], concealed[lost]), snr(whole[lost], found[lost])
            must(after > before + 4, f"{raw.name} by {by}: concealed {before:.1f} dB, found {after:.1f} dB")
            notes.append(f"{raw.stem} by {by} {before:.1f} to {after:.1f} dB")
    return "; ".join(notes)
