"""Foreign peers on loopback: start, watch, stop. Every process is ended by its own id."""
import atexit, json, os, pathlib, random, socket, subprocess, threading, time

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent


class Ports:
    """Loopback ports below those that the system hands out by itself, each given once."""

    def __init__(self):
        self.lock, self.next = threading.Lock(), random.randrange(10000, 28000, 2)

    def take(self, span):
        with self.lock:
            for _ in range(200):
                if self.next + span > 32000:
                    self.next = 10000
                port, self.next = self.next, self.next + (span + 1 & ~1)
                if all(self.free(p) for p in range(port, port + span)):
                    return port
        raise RuntimeError("no free ports on loopback")

    @staticmethod
    def free(port):
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as s:
                    s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


PORTS = Ports()


def free_port(span=2):
    """An even loopback port with its successors free for UDP and TCP."""
    return PORTS.take(span)


class Proc:
    """A foreground process with its output in a file."""
    alive = []

    def __init__(self, name, argv, cwd, stdin=None, env=None):
        self.name, self.log = name, pathlib.Path(cwd) / f"{name}.log"
        self.file = open(self.log, "wb")
        self.p = subprocess.Popen([str(a) for a in argv], cwd=cwd, stdin=subprocess.PIPE,
                                  stdout=self.file, stderr=subprocess.STDOUT, start_new_session=True,
                                  env=env)
        Proc.alive.append(self)

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, what, seconds=20):
        return self.wait_until(lambda text: what in text, seconds)

    def wait_until(self, holds, seconds=20):
        """Until its output is as wanted. False if it ends or the time is over before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.p.poll() is None:
            if holds(self.text()):
                return True
            time.sleep(0.1)
        return holds(self.text())

    def send(self, line):
        self.p.stdin.write((line + "\n").encode())
        self.p.stdin.flush()

    def wait(self, seconds):
        try:
            return self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            return None

    def stop(self):
        if self.p.poll() is None:
            self.p.terminate()
            try:
                self.p.wait(5)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
        self.file.close()
        if self in Proc.alive:
            Proc.alive.remove(self)


@atexit.register
def stop_all():
    for proc in reversed(list(Proc.alive)):
        proc.stop()


def fill(template, target, **values):
    text = (HERE / template).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    target.write_text(text)


class Kamailio:
    """Registrar and proxy of lab.test; the password of each user is their name + '-pass'."""

    def __init__(self, base, certs, algorithm="MD5", users=("alice", "bob", "carol"), tcp=True):
        self.dir = pathlib.Path(base) / "kamailio"
        (self.dir / "db").mkdir(parents=True)
        (self.dir / "run").mkdir()
        self.sip, self.sips = free_port(), free_port()
        fill("kamailio.cfg", self.dir / "kamailio.cfg", DIR=self.dir, SIP=self.sip, SIPS=self.sips,
             ALGORITHM=algorithm, TCP="" if tcp else "#")
        (self.dir / "tls.cfg").write_text(
            "[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n"
            f"private_key = {certs}/server.key\ncertificate = {certs}/server.crt\nca_list = {certs}/ca.pem\n"
            "[client:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n")
        (self.dir / "db/version").write_text(
            "table_name(string) table_version(int)\nsubscriber:7\n")
        users = "".join(f"{i}:{u}:lab.test:{u}-pass\n" for i, u in enumerate(users, 1))
        (self.dir / "db/subscriber").write_text(
            "id(int,auto) username(string) domain(string) password(string)\n" + users)
        self.proc = Proc("kamailio", ["kamailio", "-f", self.dir / "kamailio.cfg", "-DD", "-E", "-m", "32",
                                      "-M", "8", "-Y", self.dir / "run", "-w", self.dir], self.dir)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.sips), 1).close()
                return
            except OSError:
                if self.proc.p.poll() is not None:
                    break
                time.sleep(0.2)
        raise RuntimeError("kamailio did not start:\n" + self.proc.text()[-2000:])

    def rpc(self, method, *params):
        client = self.dir / f"rpc-client-{os.getpid()}-{threading.get_ident()}"
        client.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(str(client))
            s.settimeout(5)
            s.sendto(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode(),
                     str(self.dir / "rpc.sock"))
            return json.loads(s.recv(65536))

    def registered(self, user, seconds=15):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if f'"{user}"' in json.dumps(self.rpc("ul.dump")):
                return True
            time.sleep(0.3)
        return False


class Baresip:
    """baresip with WAV in and out. `account` is a line of its accounts file with @P@ for its port."""

    def __init__(self, base, name, certs, account, play, rate=8000, dial=None, seconds=40, modules=(),
                 env=None, channels=1):
        self.dir = pathlib.Path(base) / name
        self.dir.mkdir()
        self.port, self.rtp = free_port(6), free_port(20)
        (self.dir / "contacts").write_text("")
        (self.dir / "accounts").write_text(account.replace("@P@", str(self.port)) + "\n")
        modules = "".join(f"module {m}.so\n" for m in ["g711", "g722", "opus", "aufile", "sndfile", "srtp", *modules])
        (self.dir / "config").write_text(
            f"sip_listen 127.0.0.1:{self.port}\nsip_certificate {certs}/server.pem\nsip_cafile {certs}/ca.pem\n"
            f"net_interface 127.0.0.1\naudio_source aufile,{play}\naudio_player aufile,{self.dir}/null.wav\n"
            f"ausrc_srate {rate}\nauplay_srate {rate}\nausrc_channels {channels}\nauplay_channels {channels}\n"
            f"rtp_ports {self.rtp}-{self.rtp + 18}\nmodule_path /usr/lib/baresip/modules\n{modules}"
            f"module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n"
            f"ctrl_tcp_listen 127.0.0.1:{self.port + 4}\nsnd_path {self.dir}\n")
        argv = ["baresip", "-v", "-s", "-f", self.dir, "-t", seconds]
        if dial:
            argv += ["-e", f"/dial {dial}"]
        self.proc = Proc(name, argv, self.dir, env=env)

    def command(self, command, params=""):
        """Through its control socket: JSON in a netstring."""
        text = json.dumps({"command": command, "params": params}).encode()
        with socket.create_connection(("127.0.0.1", self.port + 4), 5) as s:
            s.sendall(b"%d:%s," % (len(text), text))
            s.settimeout(5)
            s.recv(65536)

    def heard(self, since=0.0):
        """The longest of its recordings that were begun after `since` (a time of the wall clock)."""
        found = [p for p in self.dir.glob("*-dec.wav") if p.stat().st_mtime >= since]
        return max(found, key=lambda p: p.stat().st_size, default=None)


def sox(*args):
    subprocess.run(["sox", *[str(a) for a in args]], check=True)


def load(path):
    """Its samples at 8 kHz."""
    import numpy
    # Through a pipe: the calls of the matrix run side by side and read the same speech.
    raw = subprocess.run(["sox", str(path), "-t", "raw", "-r", "8000", "-c", "1", "-b", "16", "-e", "signed",
                          "-L", "-"], check=True, stdout=subprocess.PIPE).stdout
    return numpy.frombuffer(raw, dtype="<i2").astype(float)


def bands(pcm):
    """Every 10 ms the power in dB of 12 bands from 150 Hz to 3.6 kHz, with a floor."""
    import numpy
    edges = numpy.geomspace(150, 3600, 13) / 8000 * 256
    frames = numpy.lib.stride_tricks.sliding_window_view(pcm, 256)[::80] * numpy.hanning(256)
    power = numpy.abs(numpy.fft.rfft(frames, 256)) ** 2
    sums = [power[:, int(a):max(int(b), int(a) + 1)].sum(axis=1) for a, b in zip(edges, edges[1:])]
    return 10 * numpy.log10(numpy.array(sums) + 1e6)


def likeness(sent, heard):
    """How like the spectra of what was sent and of what was heard are, where both are aligned best: the
    median over all stretches of 2 s in which something is said. For codecs that keep the sound, not the
    wave."""
    import numpy
    a, b = bands(load(sent)), bands(load(heard))
    n, scores = 200, []
    for start in range(0, b.shape[1] - n, 50):
        window = b[:, start:start + n]
        if (window > 70).mean() < 0.1:
            continue
        window = window - window.mean()
        def like(at):
            there = a[:, at:at + n] - a[:, at:at + n].mean()
            return (window * there).sum() / max(numpy.sqrt((window ** 2).sum() * (there ** 2).sum()), 1)
        scores.append(max(like(at) for at in range(0, a.shape[1] - n)))
    return float(numpy.median(scores)) if scores else 0.0


def correlation(sent, heard):
    """The best correlation of a 2 s stretch of `heard` with `sent`, over all alignments."""
    import numpy
    a, b = load(sent), load(heard)
    n = 16000
    if len(b) < n or len(a) < n:
        return 0.0
    a = numpy.concatenate((numpy.zeros(n), a, numpy.zeros(n)))
    best = 0.0
    for start in range(0, len(b) - n, 4000):
        window = b[start:start + n]
        if numpy.sqrt((window ** 2).mean()) < 200:
            continue
        size = 1 << (len(a) + n).bit_length()
        cross = numpy.fft.irfft(numpy.fft.rfft(a, size) * numpy.conj(numpy.fft.rfft(window, size)), size)
        energy = numpy.cumsum(numpy.concatenate(([0.0], a ** 2)))
        valid = len(a) - n
        here, there = (window ** 2).sum(), energy[n:n + valid] - energy[:valid]
        # Where the sent speech is all but silent there is nothing to compare with.
        score = numpy.where(there > here / 100, cross[:valid] / numpy.sqrt(there * here + 1), 0)
        best = max(best, float(score.max()))
    return best
