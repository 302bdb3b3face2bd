"""Two phones with real audio devices. usage: audio_device.py WORKDIR SOFTPHONE
WORKDIR/audio_device is audio_device.c, made by audio_device.sh.

Each phone has a microphone (the monitor of a null sink that speech is played into) and a
loudspeaker (another null sink, whose monitor is recorded). Both speak at once; what comes out at
each loudspeaker is compared with what went into the other's microphone, and with the wrong one.
During one call over TLS and SRTP devices are changed, pulled out and put in again.
"""
import os, pathlib, subprocess, sys, time, wave
import numpy
from lab import PROJECT, Proc, sox

WORK = pathlib.Path(sys.argv[1]).resolve()
PHONE = pathlib.Path(sys.argv[2]).resolve()
RATE = 16_000
SOCKET = WORK / "pulse.socket"
# What the system falls back to, and one set each.
SINKS = ["spare_mic", "spare_ear", "alice_mic", "alice_ear", "bob_mic", "bob_ear"]
# A second set for alice, in a daemon of its own: one that loses a sink moves its streams to another,
# as long as it has another, and then a phone need not know.
SOCKET2 = WORK / "pulse2.socket"
SINKS2 = ["alice_mic2", "alice_ear2"]
CERTS = WORK / "certs"


def must(condition, text):
    if not condition:
        raise AssertionError(text)


def server(name):
    return f"unix:{SOCKET2 if name in SINKS2 else SOCKET}"


def environment():
    """The daemon of this run, and ALSA devices that lead to its sinks."""
    pcms = ""
    for name in SINKS + SINKS2 + ["alice_back"]:
        device = {"alice_back": "alice_ear.monitor"}.get(name, name)
        device = f"{name}.monitor" if "mic" in name else device
        pcms += (f'pcm.{name} {{ type pulse server "{server(name)}" device "{device}" '
                 f'hint {{ show on description "{name} of the test" }} }}\n')
    (WORK / ".asoundrc").write_text(pcms + "pcm.!default { type pulse }\nctl.!default { type pulse }\n")
    return {**os.environ, "HOME": str(WORK), "XDG_RUNTIME_DIR": str(WORK),
            "PULSE_SERVER": f"unix:{SOCKET}", "PULSE_COOKIE": str(WORK / "cookie")}


ENV = environment()


def pactl(*args):
    done = subprocess.run(["pactl", *args], env=ENV, capture_output=True, text=True)
    must(done.returncode == 0, f"pactl {args}: {done.stderr}")
    return done.stdout.strip()


def sink(name):
    """The arguments of a null sink; norewinds keeps it paced."""
    return ["module-null-sink", f"sink_name={name}", "rate=48000", "channels=1", "norewinds=1"]


def unplug(name):
    """Takes a null sink and its monitor away."""
    modules = pactl("--server", server(name), "list", "short", "modules").splitlines()
    module = next(line.split()[0] for line in modules if f"sink_name={name} " in line + " ")
    pactl("--server", server(name), "unload-module", module)


def plug(name):
    pactl("--server", server(name), "load-module", *sink(name))


def start_daemon(title, socket, names):
    modules = ["-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1"]
    for name in names:
        modules += ["-L", " ".join(sink(name))]
    daemon = Proc(title, ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1",
                          "--disable-shm=yes", "--use-pid-file=no", "--realtime=no", *modules],
                  WORK, env=ENV)
    end = time.monotonic() + 20
    info = ["pactl", "--server", f"unix:{socket}", "info"]
    while subprocess.run(info, env=ENV, capture_output=True).returncode:
        must(daemon.p.poll() is None and time.monotonic() < end, "no PulseAudio: " + daemon.text()[-500:])
        time.sleep(0.2)


def start_pulse():
    start_daemon("pulseaudio", SOCKET, SINKS)
    start_daemon("pulseaudio2", SOCKET2, SINKS2)
    pactl("set-default-sink", "spare_ear")
    pactl("set-default-source", "spare_mic.monitor")


def read(path):
    with wave.open(str(path)) as file:
        return numpy.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)


def likeness(sent, heard):
    """Tenth of a second by tenth: the best correlation of each piece near the place where the whole
    fits best, weighted by energy. Short pieces, because clocks and jitter buffers may move the
    sound by some milliseconds."""
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


def pattern(pcm):
    """How the energy of each band goes up and down: what is left of speech whatever its phases."""
    size, hop = RATE // 50, RATE // 100
    frames = numpy.lib.stride_tricks.sliding_window_view(pcm, size)[::hop] * numpy.hanning(size)
    power = abs(numpy.fft.rfft(frames)) ** 2
    edges = numpy.geomspace(300, 3_400, 13) * size / RATE
    bands = [power[:, int(low):max(int(high), int(low) + 1)].sum(1) for low, high in zip(edges, edges[1:])]
    logs = 10 * numpy.log10(numpy.array(bands) + 1e3)
    return logs - logs.mean(1, keepdims=True)


def similarity(sent, heard):
    """The best correlation of both patterns, over all places."""
    sent, heard = pattern(sent), pattern(heard)
    width, best = sent.shape[1], 0.0
    for at in range(heard.shape[1] - width + 1):
        part = heard[:, at:at + width]
        part = part - part.mean(1, keepdims=True)
        best = max(best, (sent * part).sum() / numpy.sqrt((sent ** 2).sum() * max((part ** 2).sum(), 1.0)))
    return best


def phone(name, *args):
    return Proc(name, [PHONE, "--bind", "127.0.0.1", "--rate", RATE, *args], WORK, env=ENV)


def speech():
    clips = sorted((PROJECT / "assets/speech").glob("*.wav"))[:2]
    for name, clip in zip(["alice", "bob"], clips):
        sox("-V1", clip, "-r", RATE, "-c", 1, "-b", 16, WORK / f"{name}.wav", "trim", 0, 3)
    # Ten seconds without a pause that is worth the name.
    sox("-V1", clips[0], "-r", RATE, "-c", 1, "-b", 16, WORK / "busy.wav",
        "silence", "-l", 1, 0.02, "0.5%", -1, 0.05, "0.5%", "repeat", 9, "trim", 0, 10)
    return {name: read(WORK / f"{name}.wav") for name in ["alice", "bob"]}


def record(ear):
    heard = WORK / f"heard-{ear}-{time.monotonic_ns()}.wav"
    recorder = Proc(f"parec-{ear}", ["parec", "--server", server(ear), "-d", f"{ear}.monitor", "--rate", RATE, "--channels", 1,
                                     "--format", "s16le", "--latency-msec=50", "--file-format=wav", heard],
                    WORK, env=ENV)
    return heard, recorder


def play(voice, mic):
    return Proc(f"paplay-{mic}", ["paplay", "--server", server(mic), "-d", mic, WORK / f"{voice}.wav"], WORK, env=ENV)


def talk(title, said, ways, alike=likeness):
    """Voices go into microphones at the same time and come out of ears: (voice, microphone, ear)."""
    ears = [record(ear) for _, _, ear in ways]
    time.sleep(0.7)
    for player in [play(voice, mic) for voice, mic, _ in ways]:
        must(player.wait(20) == 0, "paplay: " + player.text())
    time.sleep(1)
    for (voice, mic, ear), (path, recorder) in zip(ways, ears):
        recorder.stop()
        heard = read(path)
        right = alike(said[voice], heard)
        wrong = alike(said["bob" if voice == "alice" else "alice"], heard)
        print(f"{title}: {mic} to {ear}: correlation {right:.3f}, with the other voice {wrong:.3f}", flush=True)
        must(right > 0.6 and wrong < 0.5, f"{ear} does not hear {mic}")


def softphone(*args):
    """To its end: status, output, its own errors (ALSA prints what it could not open)."""
    done = subprocess.run([PHONE, *args], env=ENV, capture_output=True, text=True, timeout=60)
    errors = [line for line in done.stderr.splitlines() if line.startswith("softphone: ")]
    return done.returncode, done.stdout, errors


def check_list():
    status, out, errors = softphone("--list-devices")
    must(status == 0, f"--list-devices: {errors}")
    for name in SINKS + SINKS2:
        lines = [line for line in out.splitlines() if f"{name} of the test" in line]
        must(lines and "Hz" in lines[0], f"{name} is not in the list:\n{out}")
    must(any(line.startswith("* default ") for line in out.splitlines()), f"no default:\n{out}")
    status, out, errors = softphone("--input", "no such thing", "--check")
    must(status == 4 and len(errors) == 1, f"{status}: {errors}")


def check_echo(said):
    status, out, errors = softphone("--echo-test", "--input", "alice_back", "--output", "alice_ear")
    must(status == 0 and "came back after" in out, f"{status}: {out}{errors}")
    delay, level = out.split("came back after ")[1].split(" ms, ")
    delay, level = float(delay), float(level.split(" dB")[0])
    print(f"echo test: {delay} ms, {level} dB", flush=True)
    must(20 < delay < 600 and abs(level) < 1, f"echo: {out}")
    status, out, errors = softphone("--echo-test", "--input", "alice_mic", "--output", "alice_ear")
    must(status == 16 and "hears nothing" in errors[0], f"{status}: {out}{errors}")
    echo = Proc("echo", [PHONE, "--echo", "0.5", "--duration", 6, "--input", "alice_mic",
                         "--output", "alice_ear"], WORK, env=ENV)
    must(echo.wait_for("speak:"), "no echo: " + echo.text())
    talk("--echo", said, [("alice", "alice_mic", "alice_ear")])
    must(echo.wait(20) == 0, "echo: " + echo.text())
    loud = [float(line.split()[2]) for line in echo.text().splitlines() if line.startswith("microphone ")
            and "dBFS" in line]
    # The meter falls slowly: by how much depends on when the lines are printed.
    must(max(loud) > -40 and min(loud) < max(loud) - 25, f"levels of the microphone: {loud}")


def secure_pair(*more):
    """A call over TLS with SRTP between alice and bob, with devices by name."""
    subprocess.run([PROJECT / "tests/interop/certs.sh", CERTS], check=True)
    secure = ["--policy", "required", "--ca", CERTS / "ca.pem", *more]
    own = ["--listen-tls", 0, "--cert", CERTS / "phone.crt", "--key", CERTS / "phone.key"]
    named = lambda name: ["--input", f"{name}_mic", "--output", f"{name}_ear of the test"]
    bob = phone("bob", *secure, *own, "--aor", "sip:bob@127.0.0.1", *named("bob"), "--auto-answer")
    must(bob.wait_for("(TLS)"), "bob does not listen: " + bob.text())
    port = next(line.split()[2].split(":")[1] for line in bob.text().splitlines() if line.endswith("(TLS)"))
    alice = phone("alice", *secure, "--aor", "sip:alice@127.0.0.1", *named("alice"),
                  "--call", f"sip:bob@127.0.0.1:{port};transport=tls")
    must(alice.wait_for("answered"), "no call: " + alice.text())
    print(next(line for line in alice.text().splitlines() if line.startswith("answered")), flush=True)
    time.sleep(1)
    command(alice, "report", "SRTP")
    must("TLSv1.3" in alice.text() or "TLS 1.3" in alice.text(), alice.text())
    return alice, bob


def command(proc, line, answer, seconds=15):
    """Types a line and waits for a new answer."""
    before = proc.text().count(answer)
    if line:
        proc.send(line)
    told = proc.wait_until(lambda text: text.count(answer) > before, seconds)
    must(told, f"{proc.name}: {line!r} brings no {answer!r}:\n" + proc.text()[-2000:])


def gap(heard):
    """The longest silence in what should be speech without a pause, in ms."""
    block = RATE // 100
    loud = [abs(heard[i:i + block]).max() > 60 for i in range(0, len(heard) - block, block)]
    first, last = loud.index(True), len(loud) - loud[::-1].index(True)
    longest = run = 0
    for is_loud in loud[first:last]:
        run = 0 if is_loud else run + 1
        longest = max(longest, run)
    return longest * 10


def check_change(alice, said):
    """Another microphone and loudspeaker during the call, while somebody speaks into both."""
    path, recorder = record("bob_ear")
    players = [play("busy", "alice_mic")]
    time.sleep(3)
    quiet = [play("busy", "alice_mic2")]
    time.sleep(1)
    command(alice, "input alice_mic2", "the microphone is alice_mic2 now")
    time.sleep(3)
    for player in players + quiet:
        must(player.wait(20) == 0, "paplay: " + player.text())
    recorder.stop()
    heard = read(path)
    print(f"change of the microphone: longest silence {gap(heard)} ms", flush=True)
    must(gap(heard) <= 150, "the change of the microphone makes a hole")
    command(alice, "output alice_ear2", "the loudspeaker is alice_ear2 now")
    talk("changed", said, [("alice", "alice_mic2", "bob_ear"), ("bob", "bob_mic", "alice_ear2")])


def check_unplug(alice, said):
    """Both are pulled out: the default ones take over; and put in again."""
    for name in SINKS2:
        unplug(name)
    must(alice.wait_for("the microphone alice_mic2 is gone; using default"), alice.text()[-3000:])
    must(alice.wait_for("the loudspeaker alice_ear2 is gone; using default"), alice.text()[-3000:])
    talk("unplugged", said, [("alice", "spare_mic", "bob_ear"), ("bob", "bob_mic", "spare_ear")])
    for name in SINKS2:
        plug(name)
    must(alice.wait_for("the microphone alice_mic2 is back"), alice.text()[-3000:])
    must(alice.wait_for("the loudspeaker alice_ear2 is back"), alice.text()[-3000:])
    time.sleep(1)
    talk("plugged in", said, [("alice", "alice_mic2", "bob_ear"), ("bob", "bob_mic", "alice_ear2")])


def check_levels(alice):
    """The meters see what is said."""
    command(alice, "levels", "they  ")
    player = play("alice", "alice_mic")
    time.sleep(1.5)
    command(alice, "levels", "they  ")
    must(player.wait(20) == 0, "paplay: " + player.text())
    quiet, loud = [float(line.split()[2]) for line in alice.text().splitlines() if line.startswith("  we")][-2:]
    print(f"levels: {quiet} dBFS in silence, {loud} dBFS in speech", flush=True)
    must(quiet < -50 and loud > -40, alice.text()[-500:])


def check_call(said):
    """The voices as they are, so that they can be compared wave by wave."""
    alice, bob = secure_pair("--no-processing", "--codec", "g722")
    talk("TLS and SRTP", said, [("alice", "alice_mic", "bob_ear"), ("bob", "bob_mic", "alice_ear")])
    check_levels(alice)
    check_change(alice, said)
    check_unplug(alice, said)
    command(alice, "stats", "loudspeaker alice_ear2")
    print("\n".join(line for line in alice.text().splitlines() if "in store" in line), flush=True)
    alice.send("hangup")
    must(alice.wait(30) == 0 and bob.wait(30) == 0, alice.text() + bob.text())


def check_default(said):
    """The default devices, which PulseAudio chooses; the voices are processed."""
    bob = phone("bob", "--policy", "off", "--auto-answer", "--input", "bob_mic", "--output", "bob_ear")
    must(bob.wait_for("(UDP)"), "bob does not listen: " + bob.text())
    address = next(line.split()[2] for line in bob.text().splitlines() if line.endswith("(UDP)"))
    alice = phone("alice", "--policy", "off", "--call", f"sip:bob@{address}", "--duration", 9, "--device")
    must(alice.wait_for("answered"), "no call: " + alice.text())
    time.sleep(1)
    talk("by --device", said, [("alice", "spare_mic", "bob_ear"), ("bob", "bob_mic", "spare_ear")],
         similarity)
    must(alice.wait(30) == 0 and bob.wait(30) == 0, alice.text() + bob.text())


def sounding(heard, hertz=425.0):
    """For each tenth of a second, whether it is a tone of this frequency."""
    block = RATE // 10
    wave_ = numpy.exp(-2j * numpy.pi * hertz * numpy.arange(block) / RATE)
    pieces = [heard[i:i + block] for i in range(0, len(heard) - block, block)]
    power = lambda piece: 2 * abs((piece * wave_).sum()) ** 2 / block / max((piece ** 2).sum(), 1.0)
    return [power(piece) > 0.5 and abs(piece).max() > 300 for piece in pieces]


def check_tones(more, wanted):
    """Ringback while bob's phone rings; busy for some seconds when he declines."""
    bob = phone("bob", "--policy", "off")
    must(bob.wait_for("(UDP)"), "bob does not listen: " + bob.text())
    address = next(line.split()[2] for line in bob.text().splitlines() if line.endswith("(UDP)"))
    path, recorder = record("alice_ear")
    time.sleep(0.5)
    alice = phone("alice", "--policy", "off", "--call", f"sip:bob@{address}", "--input", "alice_mic",
                  "--output", "alice_ear", *more)
    must(alice.wait_for("ringing (180)"), alice.text())
    time.sleep(3)
    bob.send("reject")
    must(alice.wait(30) == 18, alice.text())
    recorder.stop()
    bob.send("quit")
    must(bob.wait(20) == 0, bob.text())
    tones = "".join("#" if on else "." for on in sounding(read(path)))
    print(f"tones {more}: {tones}", flush=True)
    # ITU-T E.180: one second of ringback, then busy, half a second on and half a second off.
    bursts = [len(burst) for burst in tones.split(".") if burst]
    if not wanted:
        return must(not bursts, "there are tones")
    must(8 <= bursts[0] <= 11, "no ringback of a second")
    must(len(bursts) >= 4 and all(3 <= burst <= 6 for burst in bursts[1:-1]), "no busy tone")


def check_c():
    """The same from C: lists, the echo test, a choice, tones; then events."""
    program = WORK / "audio_device"
    one = subprocess.run([program], env=ENV, capture_output=True, text=True, timeout=60)
    must(one.returncode == 0, f"audio_device.c: {one.stderr.splitlines()[-1:]}")
    print(one.stdout.strip(), flush=True)
    events = Proc("audio_device_c", [program, "events"], WORK, env=ENV)
    must(events.wait_for("C: waiting"), events.text()[-500:])
    time.sleep(1)
    for name in SINKS2:
        unplug(name)
    for name in SINKS2:
        must(events.wait_for(f"C: lost {name}"), events.text()[-500:])
    for name in SINKS2:
        plug(name)
    must(events.wait(30) == 0, events.text()[-500:])


def main():
    start_pulse()
    said = speech()
    check_list()
    check_echo(said)
    check_call(said)
    check_default(said)
    check_tones([], True)
    check_tones(["--tones", "off"], False)
    check_c()


try:
    main()
    print("ok   audio devices")
except Exception as error:  # the reason is what matters
    print(f"FAIL audio devices: {type(error).__name__}: {error}")
    sys.exit(1)
