"""What changes while a phone runs: a server that gains TLS, a policy that becomes stricter."""
import os, socket, threading, time
from cases import CERTS, WORK, case, folder, must, password_file, softphone, speech
from lab import Baresip, Kamailio


class Forwarder:
    """TCP connections to one loopback port go to another."""

    def __init__(self, port, target):
        self.target, self.open = target, []
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            self.open += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        for s in [self.listener, *self.open]:
            s.close()


@case
def climbs_back_when_the_server_gains_tls():
    base = folder("climb")
    # UDP alone at the port that the phone knows; its TLS listener is elsewhere, out of reach.
    kamailio = Kamailio(base, CERTS, tcp=False)
    phone = softphone("climb-phone", "--aor", "sip:alice@lab.test", "--password-file", password_file("alice"),
                      "--register", "--registrar", f"sip:127.0.0.1:{kamailio.sip}", "--ca", CERTS / "ca.pem",
                      "--policy", "preferred", "--expires", 20)
    must(phone.wait_for("registered as sip:alice@lab.test over UDP", 20), phone.text()[-500:])
    must(phone.wait_for("not TLS:", 5), "the fall-back is not told: " + phone.text()[-500:])
    told = [line for line in phone.text().splitlines() if "not TLS:" in line][0]
    must("TLS refused, TCP refused" in told, told)
    gained = Forwarder(kamailio.sip, kamailio.sips)
    try:
        must(phone.wait_for("signalling over TLS", 60), phone.text()[-500:])
        end = time.monotonic() + 20
        while "transport=tls" not in str(kamailio.rpc("ul.dump")).lower():
            must(time.monotonic() < end, "no registration over TLS at the server")
            time.sleep(0.3)
    finally:
        gained.close()
    must(phone.p.poll() is None, "the phone ended")
    phone.send("quit")
    must(phone.wait(15) == 0, phone.text()[-300:])
    return told.strip()


DOCUMENT = """[[domain]]
name = "lab.test"
policy = "{policy}"

# The server is dialled by its address: that is the name that its certificate has to have.
[[domain]]
name = "127.0.0.1"
trust_anchor_files = ["{ca}"]

[[account]]
aor = "sip:alice@lab.test"
password = "alice-pass"
registrar = "sip:127.0.0.1:{port}"
register = true
expires = 60
codecs = ["PCMU"]
"""


@case
def policy_from_off_to_required_while_it_runs():
    base = folder("switch")
    kamailio = Kamailio(base, CERTS, tcp=False)
    tls = Forwarder(kamailio.sip, kamailio.sips)
    document = base / "phone.toml"

    def write(policy):
        new = base / "phone.new"
        new.write_text(DOCUMENT.format(policy=policy, ca=CERTS / "ca.pem", port=kamailio.sip))
        os.replace(new, document)

    def call(times, what):
        before = phone.text().count("call ended")
        phone.send("call sip:bob@lab.test")
        must(phone.wait_until(lambda t: t.count("answered:") == times, 20), phone.text()[-500:])
        time.sleep(1.5)
        phone.send("report")
        must(phone.wait_until(lambda t: t.count("voice sent") == times, 5), phone.text()[-500:])
        report = [line for line in phone.text().splitlines() if line.strip().startswith("voice sent")][-1]
        must(what in report, report)
        phone.send("hangup")
        must(phone.wait_until(lambda t: t.count("call ended") > before, 10), phone.text()[-300:])
        return report.split("  ")[-1].strip()

    account = (f'<sip:bob@lab.test>;auth_pass=bob-pass;outbound="sip:127.0.0.1:{kamailio.sips};transport=tls";'
               "regint=300;answermode=auto;mediaenc=srtp;audio_codecs=PCMU/8000/1")
    try:
        Baresip(base, "bob", CERTS, account, speech("bob", 8000), 8000, seconds=90)
        must(kamailio.registered("bob"), "baresip did not register")
        write("off")
        phone = softphone("switch-phone", "--provision", document)
        must(phone.wait_for("over UDP", 15), phone.text()[-500:])
        process = phone.p.pid
        before = call(1, "plain RTP")
        write("required")
        must(phone.wait_for("signalling over TLS", 30), phone.text()[-500:])
        after = call(2, "SRTP")
        must(phone.p.poll() is None and phone.p.pid == process, "the phone was started again")
        must(phone.text().count("registered as") == 1, "the phone logged out")
        phone.send("quit")
        must(phone.wait(15) == 0, phone.text()[-300:])
    finally:
        tls.close()
    return f"{before}; then {after}"
