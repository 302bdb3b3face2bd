"""Every media setting of baresip against every policy of ours, both directions: what must come of it.

The expectations come from what both sides say that they do. baresip: without mediaenc it knows
RTP/AVP alone and no keys; `srtp` takes RTP/AVP and RTP/SAVP, with SDES keys or without; `srtp-mand`
RTP/SAVP alone; `dtls_srtp` the SAVP profiles alone, with keys by DTLS. Ours: docs/security.md.
"""
import collections, json, math, re, socket, struct, threading, time
from lab import PROJECT, Baresip, Kamailio, Proc, correlation

MEDIA = {"none": "", "srtp": "srtp", "srtp-mand": "srtp-mand", "dtls_srtp": "dtls_srtp"}
POLICIES = ["off", "preferred", "required"]
PADLOCK = {"provider": "encrypted to your provider", "signalling": "signalling encrypted, voice in the clear",
           "none": "not encrypted"}
# (policy, signalling, direction) -> for each setting: keys, or why there is no call.
EXPECTED = {
    # We offer plain RTP/AVP: who demands keys refuses.
    ("off", "tls", "out"): ["plain", "plain", "refused", "refused"],
    # Keys that are offered under verified TLS are taken.
    ("off", "tls", "in"): ["plain", "SDES", "SDES", "DTLS"],
    # RTP/AVP with keys beside; who refuses it gets UDP/TLS/RTP/SAVP, then RTP/SAVP.
    ("preferred", "tls", "out"): ["plain", "SDES", "SDES", "DTLS"],
    ("preferred", "tls", "in"): ["plain", "SDES", "SDES", "DTLS"],
    # RTP/SAVP with SDES keys. baresip's dtls_srtp takes that profile and answers without a key: we hang up.
    ("required", "tls", "out"): ["refused", "SDES", "SDES", "unkeyed"],
    ("required", "tls", "in"): ["refused", "SDES", "SDES", "DTLS"],
    # Nothing is secret on UDP: no SDES. Who knows nothing else, and demands keys, has no call.
    ("preferred", "udp", "out"): ["plain", "plain", "refused", "DTLS"],
    ("preferred", "udp", "in"): ["plain", "plain", "refused", "DTLS"],
}


# Where it is worse than that today, and why. A cell that becomes better fails until it is removed here.
SILENT_TLS, SILENT_UDP = ("silent", PADLOCK["signalling"]), ("silent", PADLOCK["none"])
KNOWN = {
    # baresip 1.0.0 refuses our DTLS hello ("accept error"): the call stands without voice.
    ("dtls_srtp", "off", "tls", "in"): SILENT_TLS,
    ("dtls_srtp", "preferred", "tls", "out"): SILENT_TLS,
    ("dtls_srtp", "preferred", "tls", "in"): SILENT_TLS,
    ("dtls_srtp", "required", "tls", "in"): SILENT_TLS,
    ("dtls_srtp", "preferred", "udp", "out"): SILENT_UDP,
    ("dtls_srtp", "preferred", "udp", "in"): SILENT_UDP,
    # A key in the answer to an offer that had a fingerprint alone ends the call.
    ("srtp", "preferred", "udp", "out"): ("unkeyed", "no call"),
}


def padlock_of(keys, signalling):
    if keys in ("refused", "unkeyed"):
        return "no call"
    if signalling == "udp":
        return PADLOCK["none"]
    return PADLOCK["signalling" if keys == "plain" else "provider"]


class Cell:
    def __init__(self, number, media, policy, signalling, direction, expected):
        self.user, self.media, self.policy = f"a{number}", media, policy
        self.signalling, self.direction = signalling, direction
        self.expected = (expected, padlock_of(expected, signalling))
        self.known = KNOWN.get((media, policy, signalling, direction))
        self.expected = self.known or self.expected
        self.seen, self.note, self.problem = ("nothing", ""), "", None
        self.window = (0.0, 0.0)


def cells():
    number, found = 0, []
    for (policy, signalling, direction), row in EXPECTED.items():
        for media, expected in zip(MEDIA, row):
            found.append(Cell(number, media, policy, signalling, direction, expected))
            number += 1
    return found


class Control:
    """baresip's ctrl_tcp: JSON in netstrings."""

    def __init__(self, port):
        end = time.monotonic() + 15
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), 2)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
        self.socket.settimeout(30)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        """Events and answers are read away, or baresip would stand still."""
        try:
            while self.socket.recv(65536):
                pass
        except OSError:
            pass

    def send(self, command, params=""):
        text = json.dumps({"command": command, "params": params, "token": "t"})
        self.socket.sendall(f"{len(text)}:{text},".encode())


class Column:
    """One baresip with one media setting, and its cells one after the other."""

    def __init__(self, lab, media):
        self.lab, self.media, self.name = lab, media, media.replace("-", "").replace("_", "")
        enc = f"mediaenc={MEDIA[media]};" if MEDIA[media] else ""
        account = (f'<sip:{self.name}@lab.test>;auth_pass={self.name}-pass;'
                   f'outbound="sip:127.0.0.1:{lab.kamailio.sips};transport=tls";regint=300;answermode=auto;'
                   f"{enc}audio_codecs=PCMU/8000/1")
        self.peer = Baresip(lab.base, self.name, lab.certs, account, lab.theirs, 8000, seconds=500, control=True)

    def run(self, todo):
        self.control = Control(self.peer.port + 4)
        for cell in todo:
            try:
                self.play(cell)
                self.judge(cell)
            except Exception as error:  # the others go on
                cell.problem = f"{type(error).__name__}: {error}"

    def play(self, cell):
        record = self.lab.base / f"{cell.user}-heard.wav"
        seen, before = len(self.peer.proc.text()), set(self.peer.dir.glob("*-dec.wav"))
        start = time.time()
        phone = self.lab.phone(cell, record, f"sip:{self.name}@lab.test")
        try:
            if cell.direction == "in":
                if not self.lab.kamailio.registered(cell.user):
                    raise AssertionError("our phone did not register: " + phone.text()[-200:])
                self.control.send("dial", f"sip:{cell.user}@lab.test")
            self.wait_for_end(phone, seen)
        finally:
            phone.stop()
            self.control.send("hangup")
        time.sleep(1)
        cell.window = (start, time.time())
        said = phone.text()
        voice = re.findall(r"^ *voice sent +(.*)$", said, re.M)
        padlock = re.findall(r"^ *padlock +(.*)$", said, re.M)
        refused = "488" in (self.peer.proc.text()[seen:] if cell.direction == "in" else said)
        refused &= phone.p.returncode != 0 or cell.direction == "in"
        if voice:
            keys = [k for k in ("plain RTP", "SDES", "DTLS") if k in voice[-1]]
            cell.seen = (keys[0].split()[0] if keys else "silent", padlock[-1])
            if not keys:
                return
            new = sorted(set(self.peer.dir.glob("*-dec.wav")) - before, key=lambda p: p.stat().st_size)
            self.compare(cell, record, new)
        elif cell.direction == "in" and refused:
            cell.seen = ("refused", "no call")
        elif "softphone: the call failed" in said and phone.p.returncode in (15, 16):
            cell.seen = ("unkeyed", "no call")
        elif refused:
            cell.seen = ("refused", "no call")
        else:
            cell.seen = ("failed", said.strip().splitlines()[-1][:120] if said.strip() else "")

    def wait_for_end(self, phone, seen):
        """Asks for the report two seconds into the call, when keys by DTLS are there as well."""
        end, answered = time.monotonic() + 40, None
        while time.monotonic() < end and phone.p.poll() is None:
            if answered is None and "answered:" in phone.text():
                answered = time.monotonic()
            if answered and time.monotonic() > answered + 2:
                phone.send("report")
                phone.wait(20)
                return
            if re.search(r"(session closed|Call with).*488", self.peer.proc.text()[seen:]):
                phone.wait(3 if answered is None else 20)
                return
            time.sleep(0.1)

    def compare(self, cell, record, new):
        if not record.exists() or not new:
            cell.problem = "no recording " + ("here" if new else "at baresip")
            return
        a, b = correlation(self.lab.theirs, record), correlation(self.lab.mine, new[-1])
        cell.note = f"{min(a, b):.2f}"
        if min(a, b) < 0.9:
            cell.problem = f"correlation here {a:.3f}, at baresip {b:.3f}"

    def judge(self, cell):
        if cell.seen != cell.expected:
            cell.problem = f"seen {cell.seen}, expected {cell.expected}"


class Lab:
    def __init__(self, base, certs, softphone, mine, theirs, todo):
        self.base, self.certs, self.start = base, certs, softphone
        self.mine, self.theirs = mine, theirs
        names = [media.replace("-", "").replace("_", "") for media in MEDIA]
        self.kamailio = Kamailio(base, certs, users=names + [cell.user for cell in todo])
        self.password = {}
        for cell in todo:
            self.password[cell.user] = base / f"{cell.user}.password"
            self.password[cell.user].write_text(f"{cell.user}-pass\n")

    def phone(self, cell, record, target):
        tls = cell.signalling == "tls"
        server = f"{self.kamailio.sips};transport=tls" if tls else f"{self.kamailio.sip};transport=udp"
        args = ["--aor", f"sip:{cell.user}@lab.test", "--password-file", self.password[cell.user], "--register",
                "--registrar", f"sip:127.0.0.1:{server}", "--ca", self.certs / "ca.pem", "--policy", cell.policy,
                "--play", self.mine, "--record", record, "--rate", 8000, "--duration", 4, "--timeout", 20]
        args += ["--call", target] if cell.direction == "out" else ["--auto-answer"]
        return self.start(f"{cell.user}-phone", *args)


def entropy(data):
    counts = collections.Counter(data)
    return -sum(c / len(data) * math.log2(c / len(data)) for c in counts.values())


def datagrams(path):
    """Time, both ports and payload of the UDP packets in a classic pcap file of the loopback."""
    raw, at = path.read_bytes(), 24
    while at + 16 <= len(raw):
        seconds, micros, size = struct.unpack("<III", raw[at:at + 12])
        ip = raw[at + 16 + 14:at + 16 + size]
        head = (ip[0] & 15) * 4 if ip else 0
        if len(ip) > head + 8 and ip[0] >> 4 == 4 and ip[9] == 17:
            yield seconds + micros / 1e6, struct.unpack(">HH", ip[head:head + 4]), ip[head + 8:]
        at += 16 + size


def check_wire(lab, columns, todo, pcap):
    """PCMU packets of 20 ms are 172 bytes in the clear, and longer by the tag under SRTP."""
    voice = {cell: [] for cell in todo}
    leaks = 0
    for at, ports, payload in datagrams(pcap):
        if ports[1] == lab.kamailio.sip and b"a=crypto" in payload:
            leaks += 1
        if len(payload) < 172 or payload[0] >> 6 != 2 or payload[1] & 0x7F != 0:
            continue
        for cell in todo:
            rtp = columns[cell.media].peer.rtp
            if cell.window[0] <= at <= cell.window[1] and any(rtp <= p < rtp + 20 for p in ports):
                voice[cell].append(payload)
    for cell, packets in voice.items():
        plain = sum(len(p) == 172 for p in packets)
        cell.packets = (len(packets), plain)
        keys = cell.expected[0]
        problem = None
        if keys == "plain" and plain < 150:
            problem = f"{plain} plain packets"
        if keys == "refused" and packets or keys in ("unkeyed", "silent") and plain:
            problem = f"{len(packets)} packets without a call"
        if keys in ("SDES", "DTLS"):
            bits = entropy(b"".join(p[12:] for p in packets)) if packets else 0.0
            if plain or len(packets) < 150 or bits < 7.95:
                problem = f"{len(packets)} packets, {plain} plain, entropy {bits:.2f}"
        cell.problem = cell.problem or problem
    if leaks:
        raise AssertionError(f"{leaks} messages of ours with SDES keys over UDP")


def table(todo):
    lines = ["| baresip | policy | signalling | direction | voice | padlock |", "|---|---|---|---|---|---|"]
    words = {"plain": "plain RTP", "SDES": "SRTP, keys by SDES", "DTLS": "SRTP, keys by DTLS",
             "refused": "no call (488)", "unkeyed": "no call (keys do not match)",
             "silent": "no voice, DTLS fails"}
    for cell in sorted(todo, key=lambda c: (list(MEDIA).index(c.media), c.signalling, POLICIES.index(c.policy))):
        way = "we call" if cell.direction == "out" else "baresip calls"
        keys, lock = cell.seen
        lines.append(f"| {cell.media} | {cell.policy.capitalize()} | {cell.signalling.upper()} | {way} "
                     f"| {words.get(keys, keys)}{' (to be mended)' if cell.known else ''} | {lock} |")
    return lines


def write_page(lines):
    page = PROJECT / "docs/interop.md"
    text = page.read_text()
    head, rest = text.split("<!-- matrix: made by tests/interop/run.sh --page -->\n", 1)
    tail = rest.split("<!-- end of matrix -->", 1)[1]
    page.write_text(f"{head}<!-- matrix: made by tests/interop/run.sh --page -->\n" + "\n".join(lines)
                    + "\n<!-- end of matrix -->" + tail)


def run(base, certs, softphone, mine, theirs, page):
    todo = cells()
    lab = Lab(base, certs, softphone, mine, theirs, todo)
    shark = Proc("tshark", ["tshark", "-i", "lo", "-f", "udp", "-F", "pcap", "-w", base / "wire.pcap", "-q"], base)
    columns = {media: Column(lab, media) for media in MEDIA}
    for column in columns.values():
        if not lab.kamailio.registered(column.name):
            raise AssertionError(f"baresip {column.media} did not register")
    shark.wait_for("Capturing", 15)
    time.sleep(1)
    threads = [threading.Thread(target=column.run, args=([c for c in todo if c.media == media],))
               for media, column in columns.items()]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    time.sleep(1)
    shark.stop()
    check_wire(lab, columns, todo, base / "wire.pcap")
    lines = table(todo)
    print("\n".join(lines))
    wrong = [c for c in todo if c.problem]
    for c in wrong:
        print(f"WRONG {c.media} {c.policy} {c.signalling} {c.direction} ({c.user}): {c.problem}")
    if wrong:
        raise AssertionError(f"{len(wrong)} of {len(todo)} cells differ")
    if page:
        write_page(lines)
    return f"{len(todo)} cells as expected"
