"""What all interop cases use. usage: all.py WORKDIR [--page] [NAME ...]"""
import pathlib, sys, threading, time
from lab import PROJECT, Proc, correlation, likeness, sox

WORK = pathlib.Path(sys.argv[1])
PAGE = "--page" in sys.argv  # docs/interop.md gets the matrix as it came out
ONLY = [name for name in sys.argv[2:] if name != "--page"]
CERTS = WORK / "certs"
PHONE = PROJECT / "target/debug/examples/softphone"
CLIPS = sorted((PROJECT / "assets/speech").glob("*.wav"), key=lambda p: p.stat().st_size)
results = []


def case(function):
    if ONLY and function.__name__ not in ONLY:
        return function
    start = time.monotonic()
    try:
        note, ok = function(), True
    except Exception as error:  # a case that fails says why, the others go on
        note, ok = f"{type(error).__name__}: {error}", False
    for proc in list(Proc.alive):
        proc.stop()
    results.append(ok)
    print(f"{'ok  ' if ok else 'FAIL'} {function.__name__} ({time.monotonic() - start:.0f} s): {note}", flush=True)
    return function


def must(condition, text):
    if not condition:
        raise AssertionError(text)


def folder(name):
    path = WORK / name
    path.mkdir(exist_ok=True)
    return path


def password_file(user):
    path = WORK / f"password-{user}"
    path.write_text(f"{user}-pass\n")
    return path


def softphone(name, *args):
    return Proc(name, [PHONE, "--bind", "127.0.0.1", *args], WORK)


def speech(name, rate, seconds=5):
    """Somebody's words: ours and the peers' are not the same."""
    path = WORK / f"{name}-{rate}-{seconds}.wav"
    if not path.exists():
        clip = CLIPS[-1] if name == "alice" else CLIPS[0]
        # Under its name only when it is whole: several calls may ask for it at once.
        made = path.with_name(f"{path.stem}-{threading.get_ident()}.wav")
        sox(clip, "-r", rate, "-c", 1, "-b", 16, made, "trim", 0, min(seconds, 4.9), "pad", 0, 1)
        made.rename(path)
    return path


def both_heard(mine, heard_by_me, theirs, heard_by_them):
    must(heard_by_me.exists(), "nothing was recorded here")
    must(heard_by_them is not None, "baresip recorded nothing")
    a, b = correlation(theirs, heard_by_me), correlation(mine, heard_by_them)
    must(a > 0.9 and b > 0.9, f"correlation here {a:.3f}, at baresip {b:.3f}")
    return f"correlation here {a:.3f}, at baresip {b:.3f}"


def both_heard_alike(mine, heard_by_me, theirs, heard_by_them):
    """For codecs that keep the sound, not the wave; other words are alike by 0.4."""
    must(heard_by_me.exists(), "nothing was recorded here")
    must(heard_by_them is not None, "baresip recorded nothing")
    a, b = likeness(theirs, heard_by_me), likeness(mine, heard_by_them)
    must(a > 0.9 and b > 0.9, f"likeness here {a:.3f}, at baresip {b:.3f}")
    return f"likeness of the spectra here {a:.3f}, at baresip {b:.3f}"


def finish():
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not results else 0)
