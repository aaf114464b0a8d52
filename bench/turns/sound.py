"""Samples: reading, levels, silences, noises, the telephone's band. Everything is 8 kHz, one channel, floats from -1 to 1."""

import subprocess
import wave

import numpy as np

RATE = 8000
FRAME = 80  # 10 ms, the grid of levels and silences


def read(path):
    """The recording at `path`. WAV at 8 kHz is read here, everything else (GSM, Ogg, other rates) by `sox`."""
    if str(path).endswith(".wav"):
        with wave.open(str(path), "rb") as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2):
                return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768.0
    raw = subprocess.run(
        ["sox", str(path), "-r", str(RATE), "-c", "1", "-b", "16", "-e", "signed-integer", "-t", "raw", "-"],
        check=True, capture_output=True).stdout
    return np.frombuffer(raw, "<i2") / 32768.0


def write(path, samples):
    """Writes 16-bit PCM."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 0.99996) * 32768).astype("<i2").tobytes())


def resample(samples, rate):
    """From `rate` to 8 kHz, by cutting the spectrum."""
    if rate == RATE or not len(samples):
        return np.asarray(samples, float)
    length = int(len(samples) * RATE / rate)
    spectrum = np.fft.rfft(samples)
    kept = np.zeros(length // 2 + 1, complex)
    count = min(len(kept), len(spectrum))
    kept[:count] = spectrum[:count]
    return np.fft.irfft(kept, length) * (length / len(samples))


def levels(samples):
    """RMS of each 10 ms."""
    count = max(1, len(samples) // FRAME)
    padded = np.zeros(count * FRAME)
    padded[:min(len(samples), count * FRAME)] = samples[:count * FRAME]
    return np.sqrt((padded.reshape(count, FRAME) ** 2).mean(axis=1))


def speech_level(samples):
    """RMS of the loud half of the frames: the level of speech without its pauses."""
    frames = levels(samples)
    loud = frames[frames > 0.1 * frames.max()] if frames.max() > 0 else frames
    return float(np.sqrt((loud ** 2).mean())) or 1e-9


def silence_threshold(samples):
    """Below it a frame is silence: 30 dB under the loud frames, or 8 dB over the floor of the recording, whichever is higher."""
    frames = levels(samples)
    floor = np.percentile(frames, 3)
    loud = np.percentile(frames, 95)
    return max(loud * 10 ** (-30 / 20), min(floor * 2.5, loud * 10 ** (-16 / 20)))


def silences(samples, shortest=0.1):
    """Silences of `shortest` seconds or more, as (start, end) in seconds; those at the ends are among them."""
    quiet = levels(samples) < silence_threshold(samples)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet.astype(int), [0]))))
    spans = [(a * FRAME / RATE, b * FRAME / RATE) for a, b in zip(edges[::2], edges[1::2])]
    return [(a, b) for a, b in spans if b - a >= shortest - 1e-9]


def trim(samples):
    """Without the silence before the first and behind the last sound. Single frames (clicks) are no sound."""
    loud = levels(samples) >= silence_threshold(samples)
    steady = loud & (np.concatenate(([False], loud[:-1])) | np.concatenate((loud[1:], [False])))
    where = np.flatnonzero(steady)
    if not len(where):
        return samples
    return samples[where[0] * FRAME:min(len(samples), (where[-1] + 1) * FRAME)]


def room_tone(samples):
    """The quietest tenth of a second of a recording: what its room and microphone sound like without speech."""
    frames = levels(samples) ** 2
    if len(frames) < 12:
        return np.zeros(RATE // 10)
    sums = np.convolve(frames, np.ones(10), "valid")
    start = int(np.argmin(sums)) * FRAME
    tone = samples[start:start + RATE // 10]
    limit = silence_threshold(samples)
    return tone if np.sqrt((tone ** 2).mean()) < limit else tone * (0.3 * limit / max(1e-9, np.sqrt((tone ** 2).mean())))


def stretch_tone(tone, count, rng):
    """`count` samples of room tone: overlapping windows of `tone`, each from another place and turned at random, so nothing repeats audibly."""
    if count <= 0:
        return np.zeros(0)
    size = min(len(tone) // 2, 320)
    if size < 16:
        return np.zeros(count)
    window = np.sqrt(np.hanning(size + 2)[1:-1])
    hop = size // 2
    out = np.zeros(count + 2 * size)
    for at in range(0, count + size, hop):
        start = rng.integers(0, len(tone) - size + 1)
        grain = tone[start:start + size] * (1 if rng.random() < 0.5 else -1)
        out[at:at + size] += (grain[::-1] if rng.random() < 0.5 else grain) * window
    return out[hop:hop + count]


def fade(samples, start=0.0, end=0.0):
    """Raised-cosine ramps of `start` and `end` seconds: joins without clicks."""
    out = np.array(samples, float)
    for length, side in ((int(start * RATE), 0), (int(end * RATE), 1)):
        length = min(length, len(out))
        if length:
            ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)
            if side:
                out[-length:] *= ramp[::-1]
            else:
                out[:length] *= ramp
    return out


def band(samples, low=300.0, high=3400.0):
    """The telephone's band, with soft edges of 60 Hz."""
    spectrum = np.fft.rfft(samples, len(samples) + RATE // 4)
    hz = np.fft.rfftfreq(len(samples) + RATE // 4, 1 / RATE)
    edge = 60.0
    gain = np.clip((hz - (low - edge)) / edge, 0, 1) * np.clip(((high + edge) - hz) / edge, 0, 1)
    return np.fft.irfft(spectrum * np.sin(gain * np.pi / 2) ** 2, len(samples) + RATE // 4)[:len(samples)]


def mu_law(samples):
    """Through G.711 mu-law and back."""
    pcm = np.clip(samples * 32768, -32635, 32635)
    size = np.abs(pcm) + 132
    exponent = np.clip(np.floor(np.log2(size)) - 7, 0, 7)
    step = 2 ** (exponent + 3)
    mantissa = np.clip(np.floor(size / step) - 16, 0, 15)
    return np.sign(pcm) * ((mantissa + 16.5) * step - 132) / 32768


def coloured_noise(count, rng, slope=-6.0):
    """Noise that falls by `slope` dB an octave over 200 Hz, with RMS 1: fans, streets, offices."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hz = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 200.0)
    noise = np.fft.irfft(spectrum * (hz / 200.0) ** (slope / 6.02), count)
    return noise / max(1e-9, np.sqrt((noise ** 2).mean()))


def breath(rng):
    """An audible breath: shaped noise of 0.2 to 0.35 s with RMS 1 at its middle."""
    count = int(rng.uniform(0.2, 0.35) * RATE)
    noise = band(coloured_noise(count, rng, -3.0), 400, 2600)
    noise /= max(1e-9, np.sqrt((noise ** 2).mean()))
    return noise * np.sin(np.pi * np.arange(count) / count) ** 1.5


def cough(rng):
    """A cough-like burst: a sharp onset, two or three pushes of noise with a resonance."""
    parts = []
    for _ in range(rng.integers(1, 4)):
        count = int(rng.uniform(0.1, 0.22) * RATE)
        noise = band(coloured_noise(count, rng, -3.0), 350, 1800)
        parts.append(noise / max(1e-9, np.abs(noise).max()) * np.exp(-np.arange(count) / (0.3 * count)))
        parts.append(np.zeros(int(rng.uniform(0.06, 0.18) * RATE)))
    return fade(np.concatenate(parts), 0.004, 0.01)


def babble(voices, count, rng):
    """Several voices at once, each turned in time so that no word can be understood, with RMS 1."""
    mixed = np.zeros(count)
    for voice in voices:
        loop = np.resize(voice[::-1] / speech_level(voice), count)
        mixed += np.roll(loop, int(rng.integers(0, count)))
    return mixed / max(1e-9, np.sqrt((mixed ** 2).mean()))
