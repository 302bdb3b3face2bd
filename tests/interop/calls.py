"""Registration, calls with audio both ways, SIPp, and a capture."""
import collections, math, struct, time
from cases import CERTS, WORK, both_heard, both_heard_alike, case, folder, must, password_file, softphone, speech
from lab import Baresip, Kamailio, Proc, free_port, sox


OPUS = "opus/48000/2"


def server_args(kamailio):
    return ["--aor", "sip:alice@lab.test", "--password-file", password_file("alice"), "--register", "--registrar",
            f"sip:127.0.0.1:{kamailio.sips};transport=tls", "--ca", CERTS / "ca.pem", "--policy", "required"]


def bob(kamailio, base, codec, rate, **more):
    account = (f'<sip:bob@lab.test>;auth_pass=bob-pass;outbound="sip:127.0.0.1:{kamailio.sips};transport=tls";'
               f"regint=300;answermode=auto;mediaenc=srtp-mand;audio_codecs={codec}")
    channels, play = 1, speech("bob", rate)
    if codec == OPUS:  # baresip 1.0.0 has it in stereo alone
        channels, play = 2, base / "bob-stereo.wav"
        sox(speech("bob", rate), "-c", 2, play)
    peer = Baresip(base, "bob", CERTS, account, play, rate, channels=channels, **more)
    must(kamailio.registered("bob"), "baresip did not register")
    return peer


@case
def register_over_tls():
    notes = []
    for algorithm in ("SHA-256", "MD5"):
        base = folder(f"register-{algorithm}")
        kamailio = Kamailio(base, CERTS, algorithm)
        phone = softphone(f"register-{algorithm}-phone", *server_args(kamailio), "--check")
        must(phone.wait(20) == 0, phone.text()[-400:])
        (WORK / "wrong").write_text("nonsense\n")
        args = server_args(kamailio)
        args[args.index("--password-file") + 1] = WORK / "wrong"
        refused = softphone(f"register-{algorithm}-wrong", *args, "--check").wait(20)
        must(refused == 11, f"wrong password: exit status {refused}")
        kamailio.proc.stop()
        notes.append(algorithm)
    return "registered with " + " and ".join(notes) + ", a wrong password refused"


@case
def untrusted_certificate():
    base = folder("untrusted")
    kamailio = Kamailio(base, CERTS)
    args = server_args(kamailio)
    del args[args.index("--ca"):args.index("--ca") + 2]
    phone = softphone("untrusted-phone", *args, "--check")
    must(phone.wait(20) == 12, f"exit status {phone.p.returncode}: {phone.text()[-300:]}")
    must("REGISTER" not in kamailio.proc.text(), "something was sent to an unverified server")
    return phone.text().strip().splitlines()[-1]


def call_out(codec, rate):
    base = folder(f"out-{codec.split('/')[0]}")
    kamailio = Kamailio(base, CERTS)
    peer = bob(kamailio, base, codec, rate)
    mine, record = speech("alice", rate), base / "alice-heard.wav"
    phone = softphone(f"out-{codec.split('/')[0]}-phone", *server_args(kamailio), "--call", "sip:bob@lab.test",
                      "--play", mine, "--record", record, "--rate", rate, "--duration", 8)
    must(phone.wait(40) == 0, phone.text()[-600:])
    time.sleep(1)
    peer.proc.stop()
    heard = both_heard_alike if codec == OPUS else both_heard
    return heard(mine, record, speech("bob", rate), peer.heard())


@case
def baresip_called_g711():
    return call_out("PCMU/8000/1", 8000)


@case
def baresip_called_g722():
    return call_out("G722/16000/1", 16000)


@case
def baresip_called_opus():
    return call_out(OPUS, 48000)


def call_in(codec, rate):
    base = folder(f"in-{codec.split('/')[0]}")
    kamailio = Kamailio(base, CERTS)
    mine, record = speech("alice", rate), base / "alice-heard.wav"
    phone = softphone(f"in-{codec.split('/')[0]}-phone", *server_args(kamailio), "--auto-answer",
                      "--play", mine, "--record", record, "--rate", rate, "--duration", 8)
    must(kamailio.registered("alice"), "the phone did not register: " + phone.text()[-300:])
    peer = bob(kamailio, base, codec, rate, dial="sip:alice@lab.test")
    must(phone.wait(40) == 0, phone.text()[-600:])
    time.sleep(1)
    peer.proc.stop()
    heard = both_heard_alike if codec == OPUS else both_heard
    return heard(mine, record, speech("bob", rate), peer.heard())


@case
def baresip_calls_g711():
    return call_in("PCMU/8000/1", 8000)


@case
def baresip_calls_g722():
    return call_in("G722/16000/1", 16000)


@case
def baresip_calls_opus():
    return call_in(OPUS, 48000)


def sipp(name, *args):
    port, media = free_port(), free_port(4)
    argv = ["sipp", *args, "-i", "127.0.0.1", "-p", port, "-mi", "127.0.0.1", "-mp", media, "-m", 1,
            "-nostdin", "-timeout", "30s"]
    return Proc(name, argv, WORK), port


@case
def sipp_calls_us():
    notes = []
    for transport, option in (("udp", "u1"), ("tcp", "t1")):
        port = free_port()
        phone = softphone(f"sipp-uac-{transport}-phone", "--policy", "off", "--auto-answer", "--udp-port", port,
                          "--listen-tcp", port)
        time.sleep(1)
        peer, _ = sipp(f"sipp-uac-{transport}", "-sn", "uac", "-t", option, "-d", 1500, f"127.0.0.1:{port}")
        rc = peer.wait(40)
        must(rc == 0, f"sipp uac over {transport}: {rc}: {peer.text()[-400:]} {phone.text()[-300:]}")
        must(phone.wait(15) == 0, phone.text()[-400:])
        notes.append(transport)
    return "sipp's UAC over " + " and ".join(notes)


@case
def sipp_is_called():
    notes = []
    for transport, option in (("udp", "u1"), ("tcp", "t1")):
        peer, port = sipp(f"sipp-uas-{transport}", "-sn", "uas", "-t", option)
        time.sleep(1)
        phone = softphone(f"sipp-uas-{transport}-phone", "--policy", "off", "--duration", 2, "--call",
                          f"sip:service@127.0.0.1:{port};transport={transport}")
        must(phone.wait(30) == 0, phone.text()[-500:])
        notes.append(transport)
    return "sipp's UAS over " + " and ".join(notes)


def entropy(data):
    counts = collections.Counter(data)
    return -sum(c / len(data) * math.log2(c / len(data)) for c in counts.values())


def packets(path):
    """The link-layer payloads of a classic pcap file."""
    raw = path.read_bytes()
    at = 24
    while at + 16 <= len(raw):
        size = struct.unpack("<I", raw[at + 8:at + 12])[0]
        yield raw[at + 16:at + 16 + size]
        at += 16 + size


@case
def capture_shows_only_tls_and_srtp():
    base = folder("capture")
    kamailio = Kamailio(base, CERTS)
    peer = bob(kamailio, base, "PCMU/8000/1", 8000)
    pcap = base / "wire.pcap"
    shark = Proc("tshark", ["tshark", "-i", "lo", "-F", "pcap", "-w", pcap, "-q"], base)
    shark.wait_for("Capturing", 15)
    time.sleep(1)
    phone = softphone("capture-phone", *server_args(kamailio), "--call", "sip:bob@lab.test", "--play",
                      speech("alice", 8000), "--rate", 8000, "--duration", 5)
    must(phone.wait(30) == 0, phone.text()[-500:])
    time.sleep(1)
    shark.stop()
    peer.proc.stop()
    media, tls, theirs = [], 0, 0
    ours = {kamailio.sip, kamailio.sips, *range(peer.port, peer.port + 6), *range(peer.rtp, peer.rtp + 20)}
    for packet in packets(pcap):
        ip = packet[14:]
        ports = struct.unpack(">HH", ip[(ip[0] & 15) * 4:][:4])
        if not ours.intersection(ports):
            continue  # somebody else's
        head = (ip[0] & 15) * 4
        if b"SIP/2.0" in ip or b"sip:" in ip:
            # baresip 1.0.0 says goodbye in plain RTCP beside its SRTP; nothing of ours may.
            must(ip[9] == 17 and ports[0] in range(peer.rtp, peer.rtp + 20), "SIP text on the wire")
            theirs += 1
            continue
        if ip[9] == 17 and len(ip) > head + 20 and ip[head + 8] >> 6 == 2 and ip[head + 9] & 0x7F < 35:
            media.append(ip[head + 8 + 12:])
        elif ip[9] == 6:
            body = ip[head + (ip[head + 12] >> 4) * 4:]
            tls += body[:2] in (b"\x17\x03", b"\x16\x03")
    must(len(media) > 300, f"{len(media)} media packets")
    lowest = entropy(b"".join(media))
    must(lowest > 7.99, f"media entropy {lowest:.3f}")
    must(all(len(m) > 160 for m in media), "a media packet without an authentication tag")
    must(tls > 10, f"{tls} TLS records")
    return (f"{len(media)} SRTP packets (entropy {lowest:.3f} bits a byte), {tls} TLS segments, no SIP text"
            f" (but {theirs} plain RTCP packets of baresip's)")
