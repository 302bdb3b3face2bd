"""baresip as the receiver of a packet trace: the same packets, the same arrivals as ours.

It is called over SIP on loopback and sent the packets of our encoder, each when the trace says
that it arrives. What it plays is what counts: its player is joined to its microphone by its module
`aubridge`, and `sndfile` writes the microphone's side, so that the recording has its jitter buffer,
its concealment and its underruns in it, before any coding.
"""
import heapq, os, pathlib, random, re, shutil, socket, subprocess, time

MODULES = "/usr/lib/baresip/modules"
# name: (payload type, rtpmap, baresip's name, sampling rate, channels, RTP clock ticks in 20 ms)
CODECS = {
    "PCMU": (0, "PCMU/8000", "PCMU/8000/1", 8_000, 1, 160),
    "G722": (9, "G722/8000", "G722/16000/1", 16_000, 1, 160),
    "opus": (111, "opus/48000/2", "opus/48000/2", 48_000, 2, 960),
}


def ahead():
    """Before other programs of the machine, where that is allowed: packets have their times."""
    try:
        os.nice(-10)
    except PermissionError:
        pass


def free_port():
    """An even loopback port with room for baresip's after it."""
    while True:
        port = random.randrange(20_000, 60_000, 50)
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                for p in (port, port + 1, port + 10, port + 12):
                    with socket.socket(socket.AF_INET, kind) as s:
                        s.bind(("127.0.0.1", p))
            return port
        except OSError:
            continue


class Phone:
    """One baresip with one call. `events` are (seconds, payload, sequence, timestamp, marker)."""

    def __init__(self, folder, codec, seconds):
        self.codec, self.folder = codec, pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        payload, _, name, rate, channels, _ = CODECS[codec]
        # Its own defaults where it has any; plc is its concealment for codecs without one, and would
        # shut out other filters with stereo.
        conceal = ("plc",) if channels == 1 else ()
        (self.folder / "config").write_text("\n".join([
            f"sip_listen 127.0.0.1:{self.port}", "net_interface 127.0.0.1", f"module_path {MODULES}",
            "jitter_buffer_delay 5-10", "audio_source aubridge,loop", "audio_player aubridge,loop",
            f"ausrc_srate {rate}", f"auplay_srate {rate}", f"ausrc_channels {channels}",
            f"auplay_channels {channels}", f"rtp_ports {self.port + 10}-{self.port + 30}",
            f"snd_path {self.folder}", "opus_inbandfec yes",
            *(f"module {m}.so" for m in ("opus", "g722", "g711", *conceal, "sndfile", "aubridge")),
            "module_tmp account.so", "module_app menu.so", ""]))
        (self.folder / "accounts").write_text(
            f"<sip:bob@127.0.0.1:{self.port}>;regint=0;answermode=auto;audio_codecs={name}\n")
        (self.folder / "contacts").write_text("")
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(["baresip", "-v", "-f", str(self.folder), "-t", str(seconds)],
                                        cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT)
        self.sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sip.bind(("127.0.0.1", 0))
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind(("127.0.0.1", 0))
        self.rtp.setblocking(False)
        self.tag, self.remote = f"{random.getrandbits(32):08x}", None

    def request(self, method, cseq, to_tag="", body=""):
        me, them = self.sip.getsockname()[1], self.port
        text = (f"{method} sip:bob@127.0.0.1:{them} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP 127.0.0.1:{me};branch=z9hG4bK{self.tag}{cseq}{method}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:bench@127.0.0.1:{me}>;tag={self.tag}\r\n"
                f"To: <sip:bob@127.0.0.1:{them}>{to_tag}\r\nCall-ID: {self.tag}@bench\r\n"
                f"CSeq: {cseq} {method}\r\nContact: <sip:bench@127.0.0.1:{me}>\r\n"
                + ("Content-Type: application/sdp\r\n" if body else "")
                + f"Content-Length: {len(body)}\r\n\r\n{body}")
        self.sip.sendto(text.encode(), ("127.0.0.1", them))

    def call(self, deadline):
        payload, rtpmap = CODECS[self.codec][:2]
        fmtp = "a=fmtp:111 useinbandfec=1\r\n" if self.codec == "opus" else ""
        body = (f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                f"m=audio {self.rtp.getsockname()[1]} RTP/AVP {payload}\r\na=rtpmap:{payload} {rtpmap}\r\n"
                f"{fmtp}a=ptime:20\r\na=sendrecv\r\n")
        self.sip.settimeout(0.5)
        while time.monotonic() < deadline:
            self.request("INVITE", 1, body=body)
            try:
                while True:
                    answer = self.sip.recv(65536).decode(errors="replace")
                    if answer.startswith("SIP/2.0 200"):
                        self.to_tag = ";tag=" + re.search(r"^To:.*?;tag=([^\s;]+)", answer, re.M | re.I)[1]
                        self.remote = ("127.0.0.1", int(re.search(r"^m=audio (\d+)", answer, re.M)[1]))
                        self.request("ACK", 1, self.to_tag)
                        return
                    if re.match(r"SIP/2.0 [3-6]", answer):
                        raise RuntimeError(f"baresip refused the call: {answer.splitlines()[0]}")
            except (socket.timeout, ConnectionRefusedError):
                continue
        raise RuntimeError(f"baresip did not answer; see {self.folder}/log")

    def close(self):
        if self.remote:
            self.request("BYE", 2, self.to_tag)
            time.sleep(0.3)
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for closing in (self.sip, self.rtp, self.log):
            closing.close()

    def played(self):
        return max(self.folder.glob("*-enc.wav"), key=lambda p: p.stat().st_size, default=None)


def rtp(codec, sequence, payload):
    kind, ticks = CODECS[codec][0], CODECS[codec][5]
    stamp = (1_000 + sequence * ticks) & 0xFFFFFFFF
    return (bytes([0x80, kind | (0x80 if sequence == 0 else 0)]) + (100 + sequence & 0xFFFF).to_bytes(2, "big")
            + stamp.to_bytes(4, "big") + (0x5B5B5B5B).to_bytes(4, "big") + payload)


def play(calls, seconds):
    """Plays `calls` in real time, each (folder, codec, payloads, arrivals), at the same time. `arrivals` are
    (microseconds, packet). The recordings, and by how many ms the sender was late at most."""
    phones = []
    try:
        deadline = time.monotonic() + 30
        for folder, codec, _, _ in calls:
            phones.append(Phone(folder, codec, int(seconds) + 40))
        for phone in phones:
            phone.call(deadline)
        due = []
        for number, (phone, (_, codec, payloads, arrivals)) in enumerate(zip(phones, calls)):
            for order, (at, packet) in enumerate(arrivals):
                # A twelfth of a tick apart, so that eight phones do not wake at once.
                due.append((at / 1e6 + number * 0.0017, order, number, rtp(codec, packet, payloads[packet])))
        heapq.heapify(due)
        start, late = time.monotonic() + 0.5, 0.0
        while due:
            at, _, number, packet = heapq.heappop(due)
            while (wait := start + at - time.monotonic()) > 0:
                time.sleep(min(wait, 0.02))
            late = max(late, -wait)
            phones[number].rtp.sendto(packet, phones[number].remote)
        time.sleep(0.6)
    finally:
        for phone in phones:
            phone.close()
    return [phone.played() for phone in phones], late * 1e3
