"""The speech: eight clips of 8 s at 16 kHz, of seven speakers, from Debian's packages by name; and
eight others of eight speakers, on which nothing was tuned, for noise suppression.

They are fetched when the bench runs and not part of this repository; what each is and under which
licence is in SPEAKERS and OTHERS. A clip lies in half a second of silence before and a second and a half after.
"""
import subprocess
import numpy
from scipy.io import wavfile
from scipy.signal import resample_poly

RATE, SECONDS, LEAD, TAIL = 16_000, 8, 0.5, 1.5
PROMPTS = "usr/share/asterisk/sounds"
LIBRIVOX = "usr/share/pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb"
PACKAGES = ["alsa-utils", "codec2-examples", "pocketsphinx-testdata", *(f"asterisk-core-sounds-{x}-g722" for x in ("en", "es", "fr", "it", "ru"))]

# name: (who, licence, where it begins in the joined files in seconds, files)
SPEAKERS = {
    "austen": ("a reader of Jane Austen, LibriVox", "public domain", 0.0,
               [f"{LIBRIVOX}-0870.wav", f"{LIBRIVOX}-0880.wav"]),
    "alsa": ("a woman naming loudspeakers, alsa-utils, 48 kHz", "GPL-2", 0.0,
             [f"usr/share/sounds/alsa/{n}.wav" for n in
              ("Front_Center", "Rear_Left", "Side_Right", "Front_Left", "Rear_Center", "Side_Left")]),
    "codec2": ("readers of codec2's sample at 16 kHz", "LGPL-2.1", 0.0,
               ["usr/share/codec2/raw/speech_orig_16k.wav"]),
    "allison-1": ("Allison Smith, English", "CC-BY-SA-3.0", 0.2,
                  [f"{PROMPTS}/en_US_f_Allison/demo-congrats.g722"]),
    "allison-2": ("Allison Smith, English", "CC-BY-SA-3.0", 10.0,
                  [f"{PROMPTS}/en_US_f_Allison/demo-instruct.g722"]),
    "june": ("June Wallack, French", "CC-BY-SA-3.0", 4.0, [f"{PROMPTS}/fr_CA_f_June/demo-congrats.g722"]),
    "carlo": ("Carlo Flora, Italian", "CC-BY-SA-3.0", 4.0, [f"{PROMPTS}/it_IT_m_Carlo/demo-congrats.g722"]),
    "ivrvoice": ("a woman of IvrvoiceRU, Russian", "CC-BY-SA-3.0", 4.0,
                 [f"{PROMPTS}/ru_RU_f_IvrvoiceRU/demo-congrats.g722"]),
}

# The same, for noise suppression alone. Nothing is tuned on them: keep it so.
SPHINX = "usr/share/pocketsphinx/test/data"
OTHERS = {
    "austen-2": ("a reader of Jane Austen, LibriVox", "public domain", 0.0,
                 [f"{LIBRIVOX}-0920.wav", f"{LIBRIVOX}-0890.wav"]),
    "cards": ("a man naming cards, pocketsphinx", "BSD-2-Clause", 0.0,
              [f"{SPHINX}/cards/{n:03}.wav" for n in (5, 2, 3, 4, 1)]),
    "rover": ("a man telling a robot what to do, pocketsphinx", "BSD-2-Clause", 0.0,
              [f"{SPHINX}/{n}.raw" for n in ("numbers", "something", "goforward")]),
    "allison-3": ("Allison Smith, English", "CC-BY-SA-3.0", 1.0,
                  [f"{PROMPTS}/en_US_f_Allison/priv-callee-options.g722"]),
    "allison-4": ("Allison Smith, Spanish", "CC-BY-SA-3.0", 4.0,
                  [f"{PROMPTS}/es_MX_f_Allison/demo-instruct.g722"]),
    "june-2": ("June Wallack, French", "CC-BY-SA-3.0", 4.0, [f"{PROMPTS}/fr_CA_f_June/demo-instruct.g722"]),
    "carlo-2": ("Carlo Flora, Italian", "CC-BY-SA-3.0", 4.0, [f"{PROMPTS}/it_IT_m_Carlo/demo-instruct.g722"]),
    "ivrvoice-2": ("a woman of IvrvoiceRU, Russian", "CC-BY-SA-3.0", 4.0,
                   [f"{PROMPTS}/ru_RU_f_IvrvoiceRU/demo-instruct.g722"]),
}


def unpacked(base):
    """Where the packages of recordings are unpacked; nothing is installed."""
    root = base / "packages"
    for package in PACKAGES:
        mark = root / f".{package}"
        if mark.exists():
            continue
        root.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package], cwd=root,
                       check=True, stdout=subprocess.DEVNULL)
        deb = next(root.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
        deb.unlink()
        mark.touch()
    return root


def samples(path):
    """A recording as floats at 16 kHz."""
    if path.suffix == ".g722":
        raw = subprocess.run(["ffmpeg", "-loglevel", "error", "-f", "g722", "-i", path, "-f", "s16le", "-"],
                             check=True, stdout=subprocess.PIPE).stdout
        return numpy.frombuffer(raw, dtype="<i2").astype(float)
    if path.suffix == ".raw":
        return numpy.fromfile(path, dtype="<i2").astype(float)
    rate, pcm = wavfile.read(path)
    return resample_poly(pcm.astype(float), RATE, rate) if rate != RATE else pcm.astype(float)


def joined(root, start, files):
    parts = []
    for name in files:
        parts.append(samples(root / name))
        parts.append(numpy.zeros(RATE // 10))
    pcm = numpy.concatenate(parts)[int(start * RATE):]
    if len(pcm) < SECONDS * RATE:
        raise RuntimeError(f"{files} are {len(pcm) / RATE:.1f} s long, not {SECONDS}")
    return pcm[:SECONDS * RATE]


def levelled(pcm):
    """At -26 dB of full scale over its active parts (ITU-T P.56, by frames in place of an envelope)."""
    frames = pcm[:len(pcm) // 320 * 320].reshape(-1, 320)
    power = (frames ** 2).mean(axis=1)
    active = power[power > power.max() / 3_000].mean()
    pcm = pcm * (32_768 * 10 ** (-26 / 20) / numpy.sqrt(active))
    peak = numpy.abs(pcm).max()
    return pcm * (32_000 / peak) if peak > 32_000 else pcm


def fetch(base):
    """Makes `base`/clips/RATE/*.wav, at 16 kHz and at 8 kHz, and `base`/other/*.wav at 16 kHz; the
    names of the former."""
    root = unpacked(base)
    folders = {RATE: base / f"clips/{RATE}", RATE // 2: base / f"clips/{RATE // 2}"}
    for speakers, targets in ((SPEAKERS, folders), (OTHERS, {RATE: base / "other"})):
        for folder in targets.values():
            folder.mkdir(parents=True, exist_ok=True)
        for name, (_, _, start, files) in speakers.items():
            pcm = levelled(joined(root, start, files))
            fade = numpy.ones(len(pcm))
            fade[:160], fade[-160:] = numpy.linspace(0, 1, 160), numpy.linspace(1, 0, 160)
            whole = numpy.concatenate((numpy.zeros(int(LEAD * RATE)), pcm * fade, numpy.zeros(int(TAIL * RATE))))
            for rate, folder in targets.items():
                at_rate = resample_poly(whole, rate, RATE).clip(-32_768, 32_767)
                wavfile.write(folder / f"{name}.wav", rate, numpy.round(at_rate).astype("<i2"))
    return list(SPEAKERS)
