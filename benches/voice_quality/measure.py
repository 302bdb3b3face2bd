"""Quality and delay of a recording against the clip that was sent: PESQ (ITU-T P.862, P.862.2),
ViSQOL in speech mode, and the lag of each stretch of speech."""
import multiprocessing, os, warnings
import numpy
from scipy.io import wavfile
from scipy.signal import fftconvolve, resample_poly


def load(path, rate):
    """A recording as mono floats at `rate`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, pcm = wavfile.read(path)
    pcm = pcm.astype(float)
    if pcm.ndim > 1:
        pcm = pcm.mean(axis=1)
    if found != rate:
        step = numpy.gcd(found, rate)
        pcm = resample_poly(pcm, rate // step, found // step)
    return pcm


def lag(sent, heard):
    """By how many samples `heard` is later than `sent` on the whole; negative if it begins later."""
    size = 1 << (len(sent) + len(heard)).bit_length()
    cross = numpy.fft.irfft(numpy.fft.rfft(heard, size) * numpy.conj(numpy.fft.rfft(sent, size)), size)
    best = int(numpy.argmax(cross))
    return best - size if best > size // 2 else best


def aligned(sent, heard):
    """`heard` from where `sent` begins, as long as `sent`."""
    at = lag(sent, heard)
    heard = heard[at:] if at >= 0 else numpy.concatenate((numpy.zeros(-at), heard))
    return numpy.pad(heard, (0, max(0, len(sent) - len(heard))))[:len(sent)]


def lags(sent, heard, rate, window=0.32, hop=0.16, reach=0.4):
    """[(seconds, lag in ms)] of the stretches of speech that are recognised in `heard`."""
    at, size, wide = lag(sent, heard), int(window * rate), int(reach * rate)
    pad = numpy.concatenate((numpy.zeros(wide), heard, numpy.zeros(wide + size)))
    loud = numpy.sqrt((sent ** 2).mean())
    found = []
    for start in range(0, len(sent) - size, int(hop * rate)):
        part = sent[start:start + size]
        begin = start + at
        area = pad[max(begin, 0):begin + 2 * wide + size]
        if numpy.sqrt((part ** 2).mean()) < loud / 3 or len(area) < 2 * wide + size:
            continue
        cross = fftconvolve(area, part[::-1], "valid")
        sums = numpy.cumsum(numpy.concatenate(([0.0], area ** 2)))
        power = sums[size:] - sums[:-size]
        score = cross / numpy.sqrt((part ** 2).sum() * power + 1)
        best = int(numpy.argmax(score))
        if score[best] > 0.7:
            found.append(((start + size / 2) / rate, (at + best - wide) * 1e3 / rate))
    return found


_visqol = None


def visqol(sent, heard):
    """MOS-LQO of ViSQOL's speech mode (lattice); both at 16 kHz."""
    global _visqol
    if _visqol is None:
        from visqol import VisqolApi
        _visqol = VisqolApi()
        _visqol.create(mode="speech", use_lattice_model=True)
    return float(_visqol.measure_from_arrays(sent / 32_768, heard / 32_768, 16_000).moslqo)


def score(job):
    """One recording. `job`: key, sent, heard, rate, whether ViSQOL is wanted too."""
    from pesq import NoUtterancesError, pesq
    key, sent_path, heard_path, rate, with_visqol = job
    sent, heard = load(sent_path, rate), load(heard_path, rate)
    heard_whole, heard = heard, aligned(sent, heard)
    result = {"rate": rate, "sent": str(sent_path), "heard": str(heard_path)}
    try:
        result["pesq"] = float(pesq(rate, sent.astype("<i2"), heard.astype("<i2"), "nb" if rate == 8_000 else "wb"))
    except NoUtterancesError:
        result["pesq"] = 1.0
    if with_visqol and rate == 16_000:
        result["visqol"] = visqol(sent, heard)
    result["lags"] = lags(sent, heard_whole, rate)
    return key, result


def scores(jobs):
    """{key: result} of all jobs, on all cores."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        return dict(pool.imap_unordered(score, jobs, chunksize=2))
