"""The page of a run: the table, the curves, and every recording to listen to."""
import html
import clips, curves, rows

STYLE = """
body { font: 15px/1.5 "DejaVu Sans", sans-serif; color: #1a202c; max-width: 1180px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem }
p { color: #4a5568; margin: .3rem 0 } img { width: 100%; display: block }
table { border-collapse: collapse; width: 100%; font-size: 13px }
th { text-align: left; border-bottom: 2px solid #cbd5e0; padding: .3rem .6rem }
td { border-bottom: 1px solid #e2e8f0; padding: .28rem .6rem; vertical-align: middle }
.yes { color: #0b6e4f; font-weight: bold } .below { color: #b4232f; font-weight: bold } .none { color: #a0aec0 }
details { border: 1px solid #e2e8f0; border-radius: 6px; margin: .6rem 0; padding: .4rem .8rem }
summary { cursor: pointer; font-weight: bold } audio { width: 240px; height: 32px; vertical-align: middle }
"""


def link(run, path):
    return html.escape(str(path).replace(str(run.base) + "/", ""))


def player(run, path):
    return f'<audio controls preload="none" src="{link(run, path)}"></audio>'


def recordings(run, codec):
    """Each network and clip: what was sent, and what each receiver made of it."""
    parts = []
    for network in curves.WORDS:
        lines = []
        for clip in run.names:
            ours = run.scores["ours", codec, network, clip]
            other = run.scores.get(("baresip", codec, network, clip))
            score = lambda r: f"{r.get('visqol', r['pesq']):.2f}"
            lines.append(f"<tr><td>{clip}</td><td>{player(run, ours['sent'])}</td>"
                         f"<td>{player(run, ours['heard'])} {score(ours)}</td><td>"
                         + (f"{player(run, other['heard'])} {score(other)}" if other else "") + "</td></tr>")
        parts.append(f"<details><summary>{codec}, {network}: {curves.WORDS[network]}</summary><table><tr><th>clip</th>"
                     f"<th>sent</th><th>subrosa</th><th>baresip</th></tr>{''.join(lines)}</table></details>")
    return "".join(parts)


def write(run, table):
    folder = run.base / "pictures"
    folder.mkdir(exist_ok=True)
    curves.overview(run, folder / "voice_quality.png")
    curves.delays(run, folder / "delays.svg")
    pictures = curves.calls(run, folder)
    mark = {"yes": "yes", "below": "below", "-": "none"}
    head = "".join(f"<th>{h}</th>" for h in rows.HEAD)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in rows.cells(r)[:-1])
                   + f'<td class="{mark[r.verdict]}">{r.verdict}</td></tr>' for r in table)
    speakers = "".join(f"<tr><td>{n}</td><td>{html.escape(who)}</td><td>{licence}</td></tr>"
                       for n, (who, licence, _, _) in (clips.SPEAKERS | clips.OTHERS).items())
    (run.base / "index.html").write_text(f"""<!doctype html><html lang="en"><meta charset="utf-8">
<title>subrosa: voice quality</title><style>{STYLE}</style>
<h1>subrosa: the voice path on recorded speech</h1>
<p>{len(run.names)} clips of {clips.SECONDS} s. Every receiver gets the same packets at the same times; the packets for
baresip were sent at most {run.late:.1f} ms later than the trace says.</p>
<h2>Asked and measured</h2><table><tr>{head}</tr>{body}</table>
<h2>At a glance</h2><img src="pictures/voice_quality.png" alt="quality by network, and one call over time">
<h2>Delay of the jitter buffers</h2><img src="pictures/delays.svg" alt="delay over time">
<h2>Calls over time</h2>{''.join(f'<img src="pictures/{name}" alt="{codec} over {network}">' for codec, network, name in pictures)}
<h2>Recordings</h2>{''.join(recordings(run, codec) for codec in run.codecs)}
<h2>Who speaks</h2><table><tr><th>clip</th><th>speaker</th><th>licence</th></tr>{speakers}</table>
</html>""")
