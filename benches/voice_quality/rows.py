"""The table: what is asked, what was measured, what the peer in the same run made of it."""
import csv
import numpy
import clips, coders, measure

NOT_HERE = "not in this build"
TRANSIT_MS = 30.0
# Folders of benches/peers/benches/voice_quality/noise.rs, and what was made of each clip there: sonora
# is a port of WebRTC's suppression, RNNoise runs as crate nnnoiseless.
NOISES = {"babble": "babble", "other-babble": "other voices and crowds", "fan": "fan", "other-fan": "other voices, fan"}
SUPPRESSORS = {"noisy": "unprocessed", "ours": "ours", "sonora": "sonora", "rnnoise": "RNNoise"}


class Run:
    """Everything that one run found."""

    def __init__(self, base, names, codecs, scores, facts, late):
        self.base, self.names, self.codecs = base, names, codecs
        self.scores, self.facts, self.late = scores, facts, late

    def mean(self, who, codec, network, what):
        """Of all clips; None where it was not measured."""
        found = [self.scores[key].get(what) for clip in self.names
                 if (key := (who, codec, network, clip)) in self.scores]
        return float(numpy.mean(found)) if found and None not in found else None

    def rows_of(self, codec, network, clip):
        with open(self.base / f"ours/{codec}/{network}/{clip}.csv") as lines:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(lines)]

    def arrivals(self, network, clip):
        with open(self.base / f"trace/{network}/{clip}.csv") as lines:
            return [(int(row["at_us"]), int(row["packet"])) for row in csv.DictReader(lines)]

    def added(self, who, network):
        """[(seconds, ms)] that the receiver added to the way of the long recording. Ours is timed
        from the first sample written, the packet leaves 10 ms later; neteq's from the packet."""
        before = TRANSIT_MS + (10.0 if who == "ours" else 0.0)
        return [(at, lag - before) for at, lag in self.scores[who, "PCMU", network, "long"]["lags"]]

    def spikes(self, network):
        """When the delay rose, in seconds."""
        found, last = [], -1e9
        for at, packet in self.arrivals(network, "long"):
            sent = packet * 0.02
            if at / 1e6 - sent > 0.1 and sent - last > 0.4:
                found.append(sent)
            if at / 1e6 - sent > 0.1:
                last = sent
        return found


class Row:
    def __init__(self, number, what, asked, measured=NOT_HERE, peer="", held=None):
        self.number, self.what, self.asked = number, what, asked
        self.measured, self.peer, self.held = measured, peer, held

    @property
    def verdict(self):
        return {None: "-", True: "yes", False: "below"}[None if self.held is None else bool(self.held)]


def two(value):
    return "-" if value is None else f"{value:.2f}"


def exact(run, codec):
    """The share of the samples of speech that are those of ffmpeg's decoder, over all clips without
    loss."""
    same = total = 0
    rate = 8_000 if codec == "PCMU" else 16_000
    for clip in run.names:
        path = run.base / f"ours/{codec}/clean/{clip}"
        packets = coders.payloads(path.with_name(clip + ".packets"))
        want = coders.decoded(codec, packets, rate).astype(float)
        heard = measure.load(path.with_name(clip + ".wav"), rate)
        at = measure.lag(want, heard)
        begin, end = int(clips.LEAD * rate), int((clips.LEAD + clips.SECONDS) * rate)
        same += int((want[begin:end] == heard[begin + at:end + at]).sum())
        total += end - begin
    return 100.0 * same / max(total, 1)


def lossless(run):
    for what, name in (("pesq", "PESQ-WB"), ("visqol", "ViSQOL")):
        ours, bare = run.mean("ours", "opus", "clean", what), run.mean("bare", "opus", "clean", what)
        row = Row("1", f"Opus 24 kbit/s, no loss, {name}", "libopus - 0.05")
        if ours is not None:
            row.measured, row.peer, row.held = two(ours), f"libopus {two(bare)}", ours >= bare - 0.05
        yield row
    for codec, name in (("PCMU", "PESQ-NB"), ("G722", "PESQ-WB")):
        ours, bare = run.mean("ours", codec, "clean", "pesq"), run.mean("bare", codec, "clean", "pesq")
        yield Row("2", f"{codec}, no loss, {name}", "the bare coding", two(ours), f"ffmpeg {two(bare)}",
                  ours >= bare - 0.005)
        share = exact(run, codec)
        yield Row("2", f"{codec}, speech, samples as ffmpeg decodes them", "100 %", f"{share:.2f} %", "", share == 100.0)


def lossy(run):
    for network, asked in (("P1", 4.0), ("P2", 3.6), ("P3", 3.0), ("P5", 3.9)):
        row = Row("3", f"Opus with FEC, {network}, ViSQOL", f"{asked} and above baresip")
        ours, other = (run.mean(w, "opus", network, "visqol") for w in ("ours", "baresip"))
        if ours is not None:
            row.measured, row.peer, row.held = two(ours), f"baresip {two(other)}", ours >= asked and ours > other
        yield row
    for network in ("P1", "P2", "P3", "P5"):
        ours, other = (run.mean(w, "PCMU", network, "pesq") for w in ("ours", "baresip"))
        more = 0.3 if network == "P2" else 0.0
        asked = "above baresip by 0.3" if more else "above baresip"
        yield Row("4", f"G.711, {network}, PESQ-NB", asked, two(ours), f"baresip {two(other)}",
                  ours > other if not more else ours >= other + more)


def delay(run):
    for network in ("P5", "P6"):
        mean = {who: float(numpy.mean([ms for _, ms in run.added(who, network)])) for who in ("ours", "neteq")}
        made_up = {who: run.facts[f"concealed_ms_{network}_{who}"] for who in ("ours", "neteq")}
        yield Row("5", f"jitter buffer, {network}: mean delay added, ms", "at most neteq's", f"{mean['ours']:.0f}",
                  f"neteq {mean['neteq']:.0f}", mean["ours"] <= mean["neteq"])
        yield Row("5", f"jitter buffer, {network}: concealed in {4 * 20} s, ms", "at most neteq's",
                  f"{made_up['ours']:.0f}", f"neteq {made_up['neteq']:.0f}", made_up["ours"] <= made_up["neteq"])
    back = {who: recovery(run, who) for who in ("ours", "neteq")}
    yield Row("5", "after a spike (P6): back to 80 ms or less, s", "10", f"{back['ours']:.1f}",
              f"neteq {back['neteq']:.1f}", back["ours"] <= 10.0)
    found = [(c, run.facts.get(f"delay_ms_{c}")) for c in ("PCMU", "G722", "opus")]
    for codec, ms in found:
        row = Row("6", f"engine alone, {codec}, both ways, ms", "25 (5 and a frame)")
        if ms is not None:
            row.measured, row.held = f"{ms:.1f}", ms <= 25.0
        yield row


def recovery(run, who):
    """The longest time from a spike until the delay added is 80 ms or less again."""
    curve, spikes = run.added(who, "P6"), run.spikes("P6")
    worst = 0.0
    for number, spike in enumerate(spikes):
        until = spikes[number + 1] if number + 1 < len(spikes) else 1e9
        later = [(at, ms) for at, ms in curve if spike + 0.35 <= at < until]
        if not later:
            continue
        back = next((at for at, ms in later if ms <= 80.0), None)
        worst = max(worst, (back if back is not None else later[-1][0]) - spike)
    return worst


def processing(run):
    f = run.facts
    if "erle_db" not in f:
        yield Row("7", "echo: ERLE, 60 ms tail, after 3 s", "30 dB")
        return
    yield Row("7", "echo: ERLE after 3 s, tail of 60 ms", "30 dB", f"{f['erle_db']:.1f} dB", "", f["erle_db"] >= 30)
    yield Row("7", "echo: the same, loudspeaker clips", "25 dB", f"{f['erle_clipped_db']:.1f} dB", "",
              f["erle_clipped_db"] >= 25)
    sdr, gain = f["double_talk_si_sdr_db"], f["double_talk_gain_db"]
    yield Row("8", "double talk: SI-SDR", "8 dB", f"{sdr:.1f} dB", f"microphone {f['double_talk_raw_si_sdr_db']:.1f}",
              sdr >= 8)
    yield Row("8", "double talk: gain of the near end", "within 2 dB", f"{gain:+.1f} dB", "", abs(gain) <= 2)
    for kind, name in NOISES.items():
        score = {who: suppressed(run, who, kind) for who in SUPPRESSORS}
        gain = {who: score[who] - score["noisy"] for who in score}
        peers = ", ".join(f"{SUPPRESSORS[who]} {gain[who]:+.2f}" for who in ("sonora", "rnnoise"))
        yield Row("9", f"noise suppression, {name} at 10 dB, PESQ-WB", "+0.3", f"{gain['ours']:+.2f}",
                  f"unprocessed {two(score['noisy'])}, {peers}", gain["ours"] >= 0.3)


def suppressed(run, who, kind):
    """PESQ of one suppressor, the mean of all clips before that noise."""
    return float(numpy.mean([result["pesq"] for (part, _, noise, _), result in run.scores.items()
                             if (part, noise) == ("noise " + who, kind)]))


def cost(run):
    f = run.facts
    codec = "opus" if "opus" in run.codecs else None
    for key, asked, name in (("cpu_percent_opus", 1.3, "Opus in Rust"), ("cpu_percent_libopus_opus", 0.9, "libopus"),
                             ("cpu_percent_processed_opus", 2.2, "Opus in Rust, processing")):
        row = Row("10", f"share of a core, {name}", f"{asked} %")
        if codec:
            row.measured, row.held = f"{f[key]:.2f} %", f[key] <= asked
        yield row
    for codec in ("PCMU", "G722"):
        yield Row("10", f"share of a core, {codec} (with processing)", "-",
                  f"{f[f'cpu_percent_{codec}']:.2f} % ({f[f'cpu_percent_processed_{codec}']:.2f} %)")
    for codec in ("PCMU", "G722", "opus"):
        row = Row("11", f"allocations in 1000 packets both ways, {codec}", "0")
        if (count := f.get(f"allocations_per_1000_{codec}")) is not None:
            row.measured, row.held = f"{count:.1f}", count == 0
        yield row


def estimate(run):
    """The engine's own MOS against PESQ, over the networks."""
    for codec in run.codecs:
        own, measured = [], []
        for network in ("clean", "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8"):
            own.append(numpy.mean([run.rows_of(codec, network, c)[-1]["mos"] for c in run.names]))
            measured.append(run.mean("ours", codec, network, "pesq"))
        r = float(numpy.corrcoef(own, measured)[0, 1])
        yield Row("12", f"E-model against PESQ over clean and P1-P8, {codec}: r", "0.9", f"{r:.2f}", "", r >= 0.9)


def table(run):
    return [row for part in (lossless, lossy, delay, processing, cost, estimate) for row in part(run)]


HEAD = ("", "what", "asked", "measured", "peer", "held")


def cells(row):
    return (row.number, row.what, row.asked, row.measured, row.peer, row.verdict)


def as_text(rows, run):
    lines = [HEAD, *map(cells, rows)]
    width = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, width)).rstrip() for line in lines)


def as_markdown(rows, run):
    lines = [HEAD, ["---"] * len(HEAD), *map(cells, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
