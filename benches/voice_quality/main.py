"""The voice path on real speech, beside its peers in the same run. Arguments: the program of
benches/peers/benches/voice_quality, and the folder for everything that is made; or `again` and the
folder, for the table and the page of the run before.

Left behind there: clips/ (what was said), trace/ (when each packet arrives), ours/, baresip/,
neteq/ and bare/ (what was heard), results.json, table.md and index.html.
"""
import csv, json, pathlib, shutil, subprocess, sys, time

import baresip, clips, coders, measure, page, rows

NETWORKS = ["clean", "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8"]
# What baresip plays too.
COMPARED = ["clean", "P1", "P2", "P3", "P5"]
FOREIGN = ["PCMU", "opus"]
# Rows of the table ask for ViSQOL of these.
VISQOL = {"opus": COMPARED, "G722": ["clean"]}
RATES = {"PCMU": 8_000, "G722": 16_000, "opus": 16_000}
# A sender later than this is no longer the trace: the calls are played again.
LATE_MS, TRIES = 8.0, 2


def arrivals(base, network, clip):
    with open(base / f"trace/{network}/{clip}.csv") as lines:
        return [(int(row["at_us"]), int(row["packet"])) for row in csv.DictReader(lines)]


def moments(base, codec, network, clip):
    with open(base / f"ours/{codec}/{network}/{clip}.csv") as lines:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(lines)]


def foreign(base, names, codecs):
    """baresip on the traces of COMPARED: {(codec, network, clip): recording}, the worst lateness."""
    heard, worst = {}, 0.0
    for codec in codecs:
        for network in COMPARED:
            calls = [(base / f"baresip/{codec}/{network}/{clip}", codec,
                      coders.payloads(base / f"ours/{codec}/{network}/{clip}.packets"),
                      arrivals(base, network, clip)) for clip in names]
            kept = None
            for _ in range(TRIES):
                files, late = baresip.play(calls, 10)
                if all(files) and (kept is None or late < kept[1]):
                    kept = (files, late)
                    for clip, found in zip(names, files):
                        target = base / f"baresip/{codec}/{network}-{clip}.wav"
                        shutil.copy(found, target)
                        heard[codec, network, clip] = target
                if kept and kept[1] <= LATE_MS:
                    break
            if kept is None:
                raise RuntimeError(f"baresip did not play {codec} over {network}")
            worst = max(worst, kept[1])
            print(f"baresip: {codec} {network}, sender at most {kept[1]:.1f} ms late", flush=True)
    return heard, worst


def jobs(base, names, codecs, heard):
    """What is scored: (key, sent, heard, rate, with ViSQOL)."""
    for codec in codecs:
        rate = RATES[codec]
        for clip in names:
            sent = base / f"clips/{rate}/{clip}.wav"
            for network in NETWORKS:
                wanted = network in VISQOL.get(codec, [])
                yield ("ours", codec, network, clip), sent, base / f"ours/{codec}/{network}/{clip}.wav", rate, wanted
            for network in COMPARED if codec in FOREIGN else []:
                wanted = network in VISQOL.get(codec, [])
                yield ("baresip", codec, network, clip), sent, heard[codec, network, clip], rate, wanted
            bare = base / f"bare/{codec}/{clip}.wav"
            bare.parent.mkdir(parents=True, exist_ok=True)
            if codec == "opus":
                coders.Libopus(24_000, 10).through(sent, bare)
            else:
                coders.bare(codec, sent, bare, rate)
            yield ("bare", codec, "clean", clip), sent, bare, rate, codec in VISQOL
    for clip in names:
        sent = base / f"clips/16000/{clip}.wav"
        yield ("same", "", "clean", clip), sent, sent, 16_000, True
    for kind in rows.NOISES:
        for clean in sorted((base / "noise" / kind).glob("*.clean.wav")):
            clip = clean.name.removesuffix(".clean.wav")
            for part in rows.SUPPRESSORS:
                yield ("noise " + part, "", kind, clip), clean, clean.with_name(f"{clip}.{part}.wav"), 16_000, False
    for network in ("P5", "P6"):
        for who in ("ours", "neteq"):
            yield (who, "PCMU", network, "long"), base / "long/8000.wav", base / f"{who}/PCMU/{network}/long.wav", 8_000, False


def again(base):
    """The table and the page of the last run, made anew."""
    found = json.loads((base / "results.json").read_text())
    scores = {tuple(k.split("/")): v for k, v in found["scores"].items()}
    run = rows.Run(base, list(clips.SPEAKERS), found["codecs"], scores, found["facts"], found["late"])
    table = rows.table(run)
    print(rows.as_text(table, run))
    (base / "table.md").write_text(rows.as_markdown(table, run))
    page.write(run, table)


def main():
    if sys.argv[1] == "again":
        return again(pathlib.Path(sys.argv[2]).resolve())
    program, base = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    start = time.monotonic()
    for old in ("ours", "baresip", "neteq", "bare", "trace", "noise", "long"):
        shutil.rmtree(base / old, ignore_errors=True)
    names = clips.fetch(base)
    print(f"{len(names)} clips of {clips.SECONDS} s", flush=True)
    ours = subprocess.Popen([program, str(base)], stdout=subprocess.PIPE, text=True)
    missing = set()
    for line in ours.stdout:
        print(line.rstrip(), flush=True)
        if line.strip() == "recorded":
            break
        if line.rstrip().endswith("not in this build"):
            missing.add(line.split(":")[0])
    codecs = [codec for codec in RATES if codec not in missing]
    baresip.ahead()
    heard, late = foreign(base, names, [c for c in codecs if c in FOREIGN])
    if ours.wait() != 0:
        raise RuntimeError("the bench of our side failed")
    facts = json.loads((base / "facts.json").read_text())
    print("measuring", flush=True)
    scores = measure.scores(list(jobs(base, names, codecs, heard)))
    run = rows.Run(base, names, codecs, scores, facts, late)
    table = rows.table(run)
    text = rows.as_text(table, run)
    print(f"\n{text}\n")
    (base / "table.md").write_text(rows.as_markdown(table, run))
    (base / "results.json").write_text(json.dumps(
        {"facts": facts, "late": late, "codecs": codecs,
         "scores": {"/".join(k): v for k, v in scores.items()}}, indent=1))
    page.write(run, table)
    print(f"{base}/index.html has the curves and all recordings; {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
