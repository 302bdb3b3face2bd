"""baresip's settings of SRTP against our three policies, both ways: what becomes of each call."""
import collections, os, pathlib, struct, subprocess, threading, time
from cases import CERTS, PAGE, WORK, case, folder, must, password_file, softphone, speech
from lab import PROJECT, Baresip, Kamailio, Proc, correlation

SECONDS = 3
NOTHING, SIGNALLING, PROVIDER = "not encrypted", "signalling encrypted, voice in the clear", "encrypted to your provider"
#            baresip's setting: what it offers, and what it takes.
SETTINGS = {
    "none": "",                      # RTP/AVP, no keys; knows no SRTP
    "srtp": ";mediaenc=srtp",        # RTP/AVP with a=crypto; takes a call without
    "srtp-mand": ";mediaenc=srtp-mand",  # RTP/SAVP with a=crypto
    "dtls_srtp": ";mediaenc=dtls_srtp",  # UDP/TLS/RTP/SAVPF with a fingerprint
    "dtls_srtp, RSA": ";mediaenc=dtls_srtp",  # the same, with the kind of certificate that we do not take
}
Cell = collections.namedtuple("Cell", "signalling policy direction setting")
# Voice: sdes, dtls, plain, refused, or keyless: answered, but no keys can be agreed, so that there is no
# voice and the call ends within seconds with that reason. Under `off` our phone offers no keys and signals over UDP;
# a peer's keys are taken if nobody on the way could read them.
VOICE = {
    ("udp", "off", "out"): "plain plain refused refused refused",
    ("udp", "off", "in"): "plain plain refused dtls keyless",
    ("tls", "preferred", "out"): "plain sdes sdes dtls keyless",
    ("tls", "preferred", "in"): "plain sdes sdes dtls keyless",
    ("tls", "required", "out"): "refused sdes sdes dtls keyless",
    ("tls", "required", "in"): "refused sdes sdes dtls keyless",
    # No TLS to be had: keys never travel in the open.
    ("udp", "preferred", "out"): "plain plain refused dtls keyless",
    ("udp", "preferred", "in"): "plain plain refused dtls keyless",
}
VOICE = {key: dict(zip(SETTINGS, row.split())) for key, row in VOICE.items()}


def padlock(cell, voice):
    if voice in ("refused", "keyless"):
        return "-"
    if cell.signalling == "udp":
        return NOTHING
    return SIGNALLING if voice == "plain" else PROVIDER


def user(who, setting):
    return f"{who}-" + setting.replace(", ", "-").lower()


def label(cell):
    return "-".join(cell).replace(", ", "-")


class Side:
    """One baresip, for one call, and the name that our phone has for it."""

    def __init__(self, kamailio, base, cell):
        self.kamailio, setting = kamailio, cell.setting
        self.us, self.them = (user(who, setting) for who in "ab")
        for name in (self.us, self.them):
            kamailio.rpc("ul.rm", "location", name)  # what an earlier one has left
        account = (f'<sip:{self.them}@lab.test>;auth_pass={self.them}-pass;regint=300;answermode=auto;'
                   f'outbound="sip:127.0.0.1:{kamailio.sips};transport=tls";audio_codecs=PCMU/8000/1'
                   + SETTINGS[setting])
        env = {**os.environ, "DTLS_PEM": str(CERTS / "phone.pem"), "LD_PRELOAD": str(base / "ec_identity.so")}
        self.peer = Baresip(base, label(cell), CERTS, account, speech("bob", 8000, SECONDS), 8000, seconds=60,
                            modules=["dtls_srtp"], env=env if setting == "dtls_srtp" else None)
        must(self.peer.proc.wait_for("[1 binding]", 15), f"baresip ({setting}) did not register")

    def run(self, cell):
        """Makes one call; what it came to, as (voice, padlock, correlations)."""
        began, name = time.time(), label(cell)
        record = WORK / f"{name}.wav"
        port, transport = (self.kamailio.sips, "tls") if cell.signalling == "tls" else (self.kamailio.sip, "udp")
        args = ["--aor", f"sip:{self.us}@lab.test", "--password-file", password_file(self.us), "--register",
                "--registrar", f"sip:127.0.0.1:{port};transport={transport}", "--ca", CERTS / "ca.pem",
                "--policy", cell.policy, "--codec", "pcmu", "--play", speech("alice", 8000, SECONDS),
                "--record", record, "--rate", 8000, "--duration", SECONDS + 1, "--timeout", 12]
        if cell.direction == "out":
            phone = softphone(name, *args, "--call", f"sip:{self.them}@lab.test")
        else:
            phone = softphone(name, *args, "--auto-answer")
            must(phone.wait_for("registered as", 15), "our phone did not register: " + phone.text()[-300:])
            said = len(self.peer.proc.text())
            self.peer.command("dial", f"sip:{self.us}@lab.test")
        while phone.p.poll() is None and "answered:" not in phone.text():
            must(time.time() < began + 30, "nothing came of it: " + phone.text()[-300:])
            if cell.direction == "in" and "SIP/2.0 488" in self.peer.proc.text()[said:]:
                phone.stop()  # it was never asked: the engine refused
            time.sleep(0.1)
        if "answered:" not in phone.text():
            said = phone.text() if cell.direction == "out" else self.peer.proc.text()[said:]
            must("SIP/2.0 488" in said or "refused: 488" in said or "policy" in said, "not refused for its media: " + said[-300:])
            return "refused", "-", None
        time.sleep(1.5)  # keys by DTLS come after the answer
        try:
            phone.send("report")
        except BrokenPipeError:
            pass  # it has ended
        if phone.wait(30) != 0:
            must("elliptic curves only" in phone.text(), phone.text()[-600:])
            return "keyless", "-", None
        if "voice sent" not in phone.text():
            must("the far end hung up" in phone.text(), phone.text()[-600:])
            return "keyless", "-", None  # baresip gave up before we did
        time.sleep(0.5)
        lines = dict(line.strip().split("  ", 1) for line in phone.text().splitlines()
                     if line.startswith("  ") and "  " in line.strip())
        lines = {key: value.strip() for key, value in lines.items()}
        sent, heard = voice(lines.get("voice sent", "")), voice(lines.get("voice heard", ""))
        if sent == heard == "keyless":
            return sent, "-", None
        theirs = self.peer.heard(began)
        must(theirs is not None, "baresip recorded nothing")
        match = (correlation(speech("bob", 8000, SECONDS), record),
                 correlation(speech("alice", 8000, SECONDS), theirs))
        return (sent if sent == heard else f"{sent}/{heard}"), lines.get("padlock"), match


def voice(line):
    return ("plain" if "plain RTP" in line else "sdes" if "SDES" in line else "dtls" if "DTLS" in line
            else "keyless" if "not agreed" in line else f"unknown ({line})")


def rtp_packets(pcap):
    """When, to which UDP port and how long: each RTP packet of a classic pcap file."""
    raw, at = pcap.read_bytes(), 24
    while at + 16 <= len(raw):
        seconds, micros, size, _ = struct.unpack("<IIII", raw[at:at + 16])
        ip = raw[at + 16 + 14:at + 16 + size]
        at += 16 + size
        if len(ip) < 40:
            continue
        head = (ip[0] & 15) * 4
        port, = struct.unpack(">H", ip[head + 2:head + 4])
        body = ip[head + 8:]
        if ip[9] == 17 and body[0] >> 6 == 2 and body[1] & 0x7F == 0:
            yield seconds + micros / 1e6, port, len(body)


def outcomes(kamailio, base, cells, calls):
    """Makes these calls; of each the cell, what came of it or the error, its ports and its time."""
    for cell in cells:
        began, side, outcome = time.time(), None, None
        try:
            side = Side(kamailio, base, cell)
            outcome = side.run(cell)
            time.sleep(0.3)
        except Exception as error:
            outcome = error
        finally:
            ports = range(side.peer.rtp, side.peer.rtp + 20) if side else range(0)
            calls.append((cell, outcome, ports, began, time.time()))
            if side:
                side.peer.proc.stop()


def judged(cell, outcome, ports, began, ended, packets):
    """The row of a call."""
    wanted = VOICE[cell[:3]][cell.setting]
    if isinstance(outcome, Exception):
        return cell, wanted, f"{type(outcome).__name__}: {outcome}", "?", "-", "-", False
    got, lock, match = outcome
    sizes = collections.Counter(size for at, port, size in packets if port in ports and began <= at <= ended)
    # 160 bytes of PCMU behind a header of 12; SRTP adds its tag.
    plain = sizes[172]
    good = (got == wanted and lock == padlock(cell, wanted)
            and (match is None or min(match) > 0.9)
            and (plain > 50 if wanted == "plain" else plain == 0)
            and (sum(sizes.values()) > 50) == (wanted not in ("refused", "keyless")))
    heard = "-" if match is None else f"{match[0]:.2f} / {match[1]:.2f}"
    return cell, wanted, got, lock, heard, f"{plain} of {sum(sizes.values())}", good


@case
def baresip_matrix():
    base = folder("matrix")
    users = [user(who, setting) for setting in SETTINGS for who in "ab"]
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", base / "ec_identity.so",
                    pathlib.Path(__file__).with_name("ec_identity.c")], check=True)
    kamailio = Kamailio(base, CERTS, users=users)
    pcap = base / "wire.pcap"
    shark = Proc("tshark", ["dumpcap", "-i", "lo", "-P", "-f", "udp", "-w", pcap, "-q"], base)
    must(shark.wait_for("File:", 15), "no capture: " + shark.text()[-300:])
    calls, threads = [], []
    for setting in SETTINGS:
        cells = [Cell(*key, setting) for key in VOICE]
        threads.append(threading.Thread(target=outcomes, args=(kamailio, base, cells, calls)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shark.stop()
    packets = list(rtp_packets(pcap))
    rows = [judged(*call, packets) for call in calls]
    table = ["| Signalling | Our policy | Who calls | baresip's setting | Voice | Padlock | Heard here / there | Plain RTP from us |",
             "|---|---|---|---|---|---|---|---|"]
    order = list(VOICE)
    for cell, wanted, got, lock, heard, plain, good in sorted(
            rows, key=lambda row: (order.index(row[0][:3]), list(SETTINGS).index(row[0].setting))):
        caller = "we" if cell.direction == "out" else "baresip"
        outcome = got if good else f"**{got}**, expected {wanted} with padlock {padlock(cell, wanted)}"
        table.append(f"| {cell.signalling.upper()} | {cell.policy} | {caller} | {cell.setting} | {outcome} | {lock} | {heard} | {plain} |")
    (WORK / "matrix.md").write_text("\n".join(table) + "\n")
    print("\n".join(table), flush=True)
    bad = [row[0] for row in rows if not row[-1]]
    must(len(rows) == len(SETTINGS) * len(VOICE), f"{len(rows)} cells were run")
    must(not bad, f"{len(bad)} of {len(rows)} cells differ: " + ", ".join("/".join(cell) for cell in bad))
    if PAGE:
        page = PROJECT / "docs/interop.md"
        head, rest = page.read_text().split("<!-- matrix: made by tests/interop/run.sh --page -->\n")
        tail = rest.split("<!-- end of matrix -->")[1]
        page.write_text(f"{head}<!-- matrix: made by tests/interop/run.sh --page -->\n" + "\n".join(table)
                        + f"\n<!-- end of matrix -->{tail}")
    return f"{len(rows)} cells as expected"
