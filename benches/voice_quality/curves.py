"""The pictures of a run."""
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy
import measure

OURS, OTHER, SENT, BAD = "#0b6e4f", "#d1495b", "#4a5568", "#b45309"
plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
                     "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left",
                     "font.family": "DejaVu Sans", "svg.fonttype": "none"})
WORDS = {"clean": "no loss", "P1": "1 % loss", "P2": "5 % loss", "P3": "10 % in bursts", "P4": "20 % loss",
         "P5": "jitter 0-40 ms", "P6": "spikes 150 ms", "P7": "reorder 5 %", "P8": "duplicates"}


def bars(axes, run, codec, what, title):
    """Ours beside baresip over the networks that both played; each clip a dot."""
    networks = ["clean", "P1", "P2", "P3", "P5"]
    for offset, who, colour in ((-0.2, "ours", OURS), (0.2, "baresip", OTHER)):
        means = [run.mean(who, codec, n, what) or 0 for n in networks]
        x = numpy.arange(len(networks)) + offset
        axes.bar(x, means, 0.36, color=colour, label="subrosa" if who == "ours" else who, alpha=0.85)
        for at, mean in zip(x, means):
            axes.text(at, 1.08, f"{mean:.2f}", ha="center", va="bottom", fontsize=8, color="white", fontweight="bold")
        for at, network in zip(x, networks):
            points = [run.scores[who, codec, network, clip][what] for clip in run.names]
            axes.plot([at] * len(points), points, ".", color="black", alpha=0.35, markersize=3)
    axes.set_xticks(range(len(networks)), [f"{n}\n{WORDS[n]}" if n != "clean" else "clean" for n in networks])
    axes.set_ylim(1, 5)
    axes.set_title(title)
    axes.legend(frameon=False, loc="upper right", ncols=2, bbox_to_anchor=(1, 1.12))


def missing(run, codec, network, clip):
    """Seconds at which the packets were sent that never came."""
    packets = {packet for _, packet in run.arrivals(network, clip)}
    return [n * 0.02 for n in range(max(packets) + 1) if n not in packets]


def wave(axes, pcm, rate, colour, label, peak):
    """A waveform as its envelope, up to `peak`."""
    step = rate // 200
    frames = pcm[:len(pcm) // step * step].reshape(-1, step)
    at = numpy.arange(len(frames)) / 200
    axes.fill_between(at, frames.min(axis=1), frames.max(axis=1), color=colour, linewidth=0)
    axes.set_ylim(-peak, peak)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylabel(label, rotation=0, ha="right", va="center")


def call(figure, run, codec, network, clip):
    """One clip over one network: sent, heard, delay, loss and concealment over time."""
    key = lambda who: (who, codec, network, clip)
    found = run.scores[key("ours")]
    rate, other = found["rate"], run.scores.get(key("baresip"))
    axes = figure.subplots(5 if other else 4, 1, sharex=True,
                           height_ratios=[1, 1, 1, 1.3, 0.8] if other else [1, 1, 1.3, 0.8])
    axes = list(axes)
    sent = measure.load(found["sent"], rate)
    peak = numpy.abs(sent).max() * 1.2 + 1
    wave(axes[0], sent, rate, SENT, "sent", peak)
    wave(axes[1], measure.aligned(sent, measure.load(found["heard"], rate)), rate, OURS, "subrosa", peak)
    name = {"pesq": "PESQ", "visqol": "ViSQOL"}
    quality = lambda result: ", ".join(f"{name[k]} {result[k]:.2f}" for k in name if k in result)
    axes[1].set_title(quality(found), color=OURS, fontsize=8, fontweight="normal", loc="right", y=0.8)
    if other:
        wave(axes[2], measure.aligned(sent, measure.load(other["heard"], rate)), rate, OTHER, "baresip", peak)
        axes[2].set_title(quality(other), color=OTHER, fontsize=8, fontweight="normal", loc="right", y=0.8)
    delay, loss = axes[-2], axes[-1]
    lags = found["lags"]
    delay.plot(*zip(*lags), ".-", color=OURS, linewidth=1, markersize=3, label="subrosa, mouth to ear")
    if other and other["lags"]:
        # baresip's recording begins when its call does: only the changes of its delay are known.
        first = other["lags"][0][1] - lags[0][1]
        at, ms = zip(*other["lags"])
        delay.plot(at, [v - first for v in ms], ".-", color=OTHER, linewidth=1, markersize=3,
                   label="baresip, set to begin equal")
    delay.set_ylim(0, max(150, *(ms for _, ms in lags)) * 1.1)
    delay.set_ylabel("delay\nms", rotation=0, ha="right", va="center")
    delay.legend(frameon=False, fontsize=7, ncols=2, loc="upper right")
    rows = run.rows_of(codec, network, clip)
    concealed = [b["at_ms"] / 1e3 for a, b in zip(rows, rows[1:]) if b["concealed"] > a["concealed"]]
    loss.eventplot([missing(run, codec, network, clip), concealed], colors=[BAD, OURS], lineoffsets=[1, 0],
                   linelengths=0.8, linewidths=1.4)
    loss.set_yticks([1, 0], ["lost on the way", "concealed"])
    loss.set_ylim(-0.6, 1.6)
    loss.set_xlabel("s")
    loss.set_xlim(0, len(sent) / rate)
    axes[0].set_title(f"{codec if codec != 'opus' else 'Opus'} over {network} ({WORDS[network]}), clip {clip}")


def jitter(axes, run, network):
    """The delay that our jitter buffer and crate neteq's add, over the long recording."""
    for who, colour, name in (("neteq", OTHER, "crate neteq"), ("ours", OURS, "subrosa")):
        axes.plot(*zip(*run.added(who, network)), ".", color=colour, markersize=3, label=name)
    for at in run.spikes(network) if network == "P6" else []:
        axes.axvline(at, color=BAD, linewidth=0.8, alpha=0.5)
    axes.set_title(f"delay added by the jitter buffer, {network} ({WORDS[network]})")
    axes.set_ylabel("ms")
    axes.set_xlabel("s")
    axes.set_ylim(0, 250)
    axes.legend(frameon=False, loc="upper right", ncols=2, markerscale=3)


def save(figure, path):
    figure.savefig(path, dpi=110)
    plt.close(figure)


def overview(run, path):
    """The picture of the README."""
    figure = plt.figure(figsize=(11, 8), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.5])
    left, right = top.subplots(1, 2)
    if "opus" in run.codecs:
        bars(left, run, "opus", "visqol", "Opus 24 kbit/s with FEC: ViSQOL")
    bars(right, run, "PCMU", "pesq", "G.711: PESQ-NB")
    call(bottom, run, run.codecs[-1], "P2", run.names[-3])
    save(figure, path)


def calls(run, folder):
    """A picture for each codec and network, of one clip; their names."""
    names = []
    for number, (codec, network) in enumerate((c, n) for c in run.codecs for n in WORDS):
        figure = plt.figure(figsize=(11, 5.2), layout="constrained")
        call(figure, run, codec, network, run.names[number % len(run.names)])
        names.append((codec, network, f"{codec}-{network}.svg"))
        save(figure, folder / names[-1][2])
    return names


def delays(run, path):
    figure, axes = plt.subplots(2, 1, figsize=(11, 5), layout="constrained")
    for place, network in zip(axes, ("P5", "P6")):
        jitter(place, run, network)
    save(figure, path)
