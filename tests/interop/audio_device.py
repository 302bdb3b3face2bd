"""Two phones with real audio devices. usage: audio_device.py WORKDIR SOFTPHONE

Each phone has a microphone (the monitor of a null sink that speech is played into) and a
loudspeaker (another null sink, whose monitor is recorded). Both speak at once; what comes out at
each loudspeaker is compared with what went into the other's microphone, and with the wrong one.
"""
import os, pathlib, subprocess, sys, time, wave
import numpy
from lab import PROJECT, Proc, sox

WORK = pathlib.Path(sys.argv[1]).resolve()
PHONE = pathlib.Path(sys.argv[2]).resolve()
RATE = 16_000
SOCKET = WORK / "pulse.socket"
SINKS = ["alice_mic", "alice_ear", "bob_mic", "bob_ear"]


def must(condition, text):
    if not condition:
        raise AssertionError(text)


def environment():
    """The daemon of this run, and ALSA devices that lead to its sinks."""
    pcms = ""
    for name in SINKS:
        device = f"{name}.monitor" if name.endswith("mic") else name
        pcms += (f'pcm.{name} {{ type pulse device "{device}" '
                 f'hint {{ show on description "{name} of the test" }} }}\n')
    (WORK / ".asoundrc").write_text(pcms + "pcm.!default { type pulse }\nctl.!default { type pulse }\n")
    return {**os.environ, "HOME": str(WORK), "XDG_RUNTIME_DIR": str(WORK),
            "PULSE_SERVER": f"unix:{SOCKET}", "PULSE_COOKIE": str(WORK / "cookie")}


ENV = environment()


def start_pulse():
    modules = ["-L", f"module-native-protocol-unix socket={SOCKET} auth-anonymous=1"]
    for name in SINKS:
        modules += ["-L", f"module-null-sink sink_name={name} rate=48000 channels=1 norewinds=1"]
    daemon = Proc("pulseaudio", ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1",
                                 "--disable-shm=yes", "--use-pid-file=no", "--realtime=no", *modules],
                  WORK, env=ENV)
    end = time.monotonic() + 20
    while subprocess.run(["pactl", "info"], env=ENV, capture_output=True).returncode:
        must(daemon.p.poll() is None and time.monotonic() < end, "no PulseAudio: " + daemon.text()[-500:])
        time.sleep(0.2)


def read(path):
    with wave.open(str(path)) as file:
        return numpy.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)


def likeness(sent, heard):
    """Tenth of a second by tenth: the best correlation of each piece near the place where the whole
    fits best, weighted by energy. Short pieces, because the correction of the drift between two
    clocks moves the sound by up to 6 ms a second."""
    def correlate(piece, part):
        both = numpy.correlate(part, piece, "valid")
        energy = numpy.convolve(part ** 2, numpy.ones(len(piece)), "valid")
        return both / numpy.sqrt(numpy.maximum(energy, 1.0) * max((piece ** 2).sum(), 1.0))
    # The place is found by the Fourier transform, at full length.
    size = 1 << (len(sent) + len(heard)).bit_length()
    whole = numpy.fft.irfft(numpy.fft.rfft(heard, size) * numpy.conj(numpy.fft.rfft(sent, size)), size)
    lag = int(numpy.argmax(whole[:len(heard)]))
    total = weight = 0.0
    step, slack = RATE // 10, RATE // 10
    for start in range(0, len(sent) - step + 1, step):
        piece = sent[start:start + step]
        low = max(lag + start - slack, 0)
        part = heard[low:lag + start + step + slack]
        energy = (piece ** 2).sum()
        if len(part) >= step:
            total += energy * correlate(piece, part).max()
        weight += energy
    return total / weight


def phone(name, *args):
    return Proc(name, [PHONE, "--bind", "127.0.0.1", "--policy", "off", "--rate", RATE, *args], WORK, env=ENV)


def speech():
    clips = sorted((PROJECT / "assets/speech").glob("*.wav"))[:2]
    for name, clip in zip(["alice", "bob"], clips):
        sox("-V1", clip, "-r", RATE, "-c", 1, "-b", 16, WORK / f"{name}.wav", "trim", 0, 3)
    return {name: read(WORK / f"{name}.wav") for name in ["alice", "bob"]}


def check_list():
    out = subprocess.run([PHONE, "--list-devices"], env=ENV, capture_output=True, text=True)
    must(out.returncode == 0, f"--list-devices: {out.stderr}")
    for name in SINKS:
        must(f"{name} of the test" in out.stdout, f"{name} is not in the list:\n{out.stdout}")
    wrong = subprocess.run([PHONE, "--input", "no such thing", "--check"], env=ENV, capture_output=True, text=True)
    must(wrong.returncode == 4 and wrong.stderr.count("\n") == 1, f"{wrong.returncode}: {wrong.stderr}")


def call(said, devices):
    """One call; `devices` are the options of a phone by its name. Returns what each ear got."""
    bob = phone("bob", "--auto-answer", *devices("bob"))
    must(bob.wait_for("(UDP)"), "bob does not listen: " + bob.text())
    address = next(line.split()[2] for line in bob.text().splitlines() if line.endswith("(UDP)"))
    ears = {}
    for name in said:
        heard = WORK / f"heard-{name}.wav"
        ears[name] = (heard, Proc(f"parec-{name}", ["parec", "-d", f"{name}_ear.monitor", "--rate", RATE,
                                                    "--channels", 1, "--format", "s16le",
                                                    "--file-format=wav", heard], WORK, env=ENV))
    alice = phone("alice", "--call", f"sip:bob@{address}", "--duration", 7, *devices("alice"))
    must(alice.wait_for("answered"), "no call: " + alice.text())
    time.sleep(1)
    voices = [Proc(f"paplay-{name}", ["paplay", "-d", f"{name}_mic", WORK / f"{name}.wav"], WORK, env=ENV)
              for name in said]
    for voice in voices:
        must(voice.wait(20) == 0, "paplay: " + voice.text())
    must(alice.wait(30) == 0 and bob.wait(30) == 0, alice.text() + bob.text())
    for _, recorder in ears.values():
        recorder.stop()
    return {name: read(path) for name, (path, _) in ears.items()}


def judge(title, said, ears):
    for speaker, listener in [("alice", "bob"), ("bob", "alice")]:
        right = likeness(said[speaker], ears[listener])
        wrong = likeness(said[listener], ears[listener])
        print(f"{title}: {speaker} to {listener}: correlation {right:.3f}, "
              f"with the other voice {wrong:.3f}", flush=True)
        must(right > 0.8 and wrong < 0.5, f"{listener} does not hear {speaker}")


def main():
    start_pulse()
    said = speech()
    check_list()
    named = lambda name: ["--input", f"{name}_mic", "--output", f"{name}_ear of the test"]
    judge("by --input and --output", said, call(said, named))
    # The default devices, which PulseAudio chooses.
    ears = {}
    def default(name):
        ENV.update(PULSE_SOURCE=f"{name}_mic.monitor", PULSE_SINK=f"{name}_ear")
        return ["--device"]
    ears = call_default(said, default)
    judge("by --device", said, ears)


def call_default(said, default):
    try:
        return call(said, default)
    finally:
        for name in ["PULSE_SOURCE", "PULSE_SINK"]:
            ENV.pop(name, None)


try:
    main()
    print("ok   audio devices")
except Exception as error:  # the reason is what matters
    print(f"FAIL audio devices: {type(error).__name__}: {error}")
    sys.exit(1)
