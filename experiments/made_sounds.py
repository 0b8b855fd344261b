"""Sounds without a voice, made for the test of "no voice": noise, tones, clicks, hum and music.

None of them was used to find the limits in `utility/audio/speech.py`. Each kind is a function of a
random generator and the times of the samples, from 0 to at most 10 s.
"""

from collections.abc import Iterator

import numpy as np
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

SAMPLE_RATES_HZ = (8_000, 11_025, 16_000, 32_000, 48_000)
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 10.0
QUIETEST_DB, LOUDEST_DB = -45, -1
KEYS_LOW_HZ, KEYS_HIGH_HZ = (697, 770, 852, 941), (1209, 1336, 1477)
# Semitones above the tonic.
SCALE = np.array([0, 2, 3, 5, 7, 8, 10, 12])


# Parts that several kinds need


def rate_of(times) -> float:
    """Return the sample rate of evenly spaced times."""
    return 1 / (times[1] - times[0])


def wave(phase, shape="sine") -> np.ndarray:
    """Return a wave for a phase in turns."""
    place = phase % 1
    shapes = {
        "sine": np.sin(2 * np.pi * phase),
        "pulse": np.where(place < 0.3, 1.0, -0.4),
        "ramp": 1 - 2 * place,
        "triangle": 4 * np.abs(place - 0.5) - 1,
    }
    return shapes[shape]


def turn(pitch, times) -> np.ndarray:
    """Return the phase, in turns, of a pitch in hertz that may change."""
    return np.cumsum(np.broadcast_to(pitch, times.shape)) / rate_of(times)


def wander(random, times, seconds, low, high) -> np.ndarray:
    """Return a curve between two values, with a corner about every so many seconds."""
    corners = np.arange(0, times[-1] + 2 * seconds, seconds)
    return np.interp(times, corners, random.uniform(low, high, len(corners)))


def switch(random, times, on, off) -> np.ndarray:
    """Return 1 and 0 in turns that last so many seconds, with edges of a few milliseconds."""
    place = (times + random.uniform(0, on)) % (on + off)
    return np.clip(np.minimum(place, on - place) * rate_of(times) / 50 + 0.5, 0, 1)


def band(random, times, low_hz, high_hz, order=2) -> np.ndarray:
    """Return noise through a band-pass filter."""
    nyquist = rate_of(times) / 2
    edges = [low_hz, min(high_hz, 0.95 * nyquist)]
    filtered = butter(order, edges, "bandpass", fs=2 * nyquist, output="sos")
    return level_out(sosfilt(filtered, random.normal(size=len(times))))


def level_out(signal) -> np.ndarray:
    """Scale a signal to a mean power of 1."""
    return signal / max(np.sqrt(np.mean(signal**2)), 1e-9)


def place_all(times, starts, make) -> np.ndarray:
    """Add a part, made anew for each start in seconds, to silence."""
    signal, rate = np.zeros(len(times)), rate_of(times)
    for start in starts:
        first = round(start * rate)
        part = make()[: len(signal) - first]
        signal[first : first + len(part)] += part
    return signal


def list_starts(random, times, gap, unevenness=0.0) -> np.ndarray:
    """List starts in seconds, even or not."""
    count = int(times[-1] / gap) + 1
    starts = gap * (np.arange(count) + random.uniform(0, unevenness, count) + 0.1)
    return starts[starts < times[-1] - 0.01]


def decay(random, times, seconds, pitches, noise) -> np.ndarray:
    """Return what is struck: resonances and noise that die away within so many seconds."""
    times = times[times < 3 * seconds]
    resonances = sum(random.uniform(0.2, 1) * wave(p * times, "sine") for p in pitches)
    sound = resonances / max(len(pitches), 1) + noise * random.normal(size=len(times))
    return sound * np.exp(-times / seconds * 2)


# Noise


def make_hiss(random, times):
    """Return white noise."""
    return random.uniform(-1, 1, len(times))


def make_waterfall(random, times):
    """Return noise whose power falls as about 1 / f, after Voss."""
    octaves = range(random.integers(4, 14))
    rows = [np.repeat(random.normal(size=len(times) // 2**k + 1), 2**k) for k in octaves]
    return sum(row[: len(times)] for row in rows)


def make_rumble(random, times):
    """Return low noise: a random walk that leaks."""
    return lfilter([1], [1, -random.uniform(0.95, 0.999)], random.normal(size=len(times)))


def make_resonant_noise(random, times):
    """Return noise with one resonance."""
    pole = random.uniform(0.6, 0.97) * np.exp(2j * np.pi * random.uniform(0.02, 0.4))
    return lfilter([1], [1, -2 * pole.real, abs(pole) ** 2], random.normal(size=len(times)))


def make_gusts(random, times):
    """Return wind in gusts."""
    strength = wander(random, times, random.uniform(0.4, 2), 0.05, 1)
    low, high = band(random, times, 60, 300), band(random, times, 250, random.uniform(500, 2000))
    return strength * low + 0.7 * strength**3 * high


def make_rain_on_a_roof(random, times):
    """Return many drops on hiss."""
    drops = list_starts(random, times, random.uniform(0.002, 0.02), 3)
    seconds = random.uniform(0.002, 0.015)
    rain = place_all(
        times, drops, lambda: random.exponential() * decay(random, times, seconds, (), 1)
    )
    return level_out(rain) + random.uniform(0.3, 2) * band(random, times, 500, 6000)


def make_sea(random, times):
    """Return waves that come and go."""
    swell = 0.15 + np.sin(np.pi * times / random.uniform(4, 9)) ** 4
    return swell * make_waterfall(random, times)


def make_distant_crowd(random, times):
    """Return a murmur in which no voice can be told: bands that wax and wane alone."""
    edges = 2.0 ** np.arange(7.5, 11.5, 0.5)
    murmur = [wander(random, times, 0.15, 0.5, 1) * band(random, times, e, 1.4 * e) for e in edges]
    return sum(part / edge**0.5 for part, edge in zip(murmur, edges, strict=True))


def make_vehicle(random, times):
    """Return an engine whose speed changes, and the road."""
    pitch = wander(random, times, random.uniform(1, 4), 20, random.uniform(30, 110))
    phase = turn(pitch, times)
    cycles = sum(random.exponential() / k * wave(k * phase / 2, "sine") for k in range(1, 25))
    return level_out(cycles) + random.uniform(0.1, 1) * band(random, times, 80, 1500)


def make_vacuum_cleaner(random, times):
    """Return a motor that starts, in rushing air."""
    motor = turn(random.uniform(180, 420) * np.minimum(1, 0.3 + times), times)
    whine = wave(motor, "ramp") + 0.5 * wave(2.01 * motor, "sine")
    return band(random, times, 200, 7000, 1) + random.uniform(0.05, 0.8) * whine


def make_fan(random, times):
    """Return air that blades chop."""
    chop = 1 + random.uniform(0.1, 0.6) * wave(times * random.uniform(10, 80), "triangle")
    return chop * band(random, times, random.uniform(50, 150), random.uniform(800, 4000), 1)


# Tones


def make_steady_tone(random, times):
    """Return a tone that holds its pitch."""
    shape = random.choice(["sine", "pulse", "ramp", "triangle"])
    return wave(2 ** random.uniform(6, 11.5) * times, shape)


def make_modulated_tone(random, times):
    """Return a tone with a modulated frequency."""
    modulator = random.uniform(0.5, 3) * wave(2 ** random.uniform(6, 10) * times)
    return wave(2 ** random.uniform(7, 11) * times + modulator / 3)


def make_sweep(random, times):
    """Return a tone that rises and falls steadily."""
    ends = 2 ** random.uniform(7, 11.5, 2)
    place = wave(times / random.uniform(1.5, 10), "triangle") / 2 + 0.5
    return wave(turn(ends[0] + (ends[1] - ends[0]) * place, times))


def make_dialling(random, times):
    """Return the tones of a telephone's keys."""
    length = random.uniform(0.12, 0.4)
    keys = random.integers(0, 3, (2, int(times[-1] / length) + 1))
    key = (times / length).astype(int)
    low, high = (np.take(f, keys[n])[key] for n, f in enumerate((KEYS_LOW_HZ, KEYS_HIGH_HZ)))
    tone = wave(turn(low, times)) + wave(turn(high, times))
    return tone * (times % length < random.uniform(0.4, 0.8) * length)


def make_busy_line(random, times):
    """Return a busy line."""
    on = random.choice([0.25, 0.35, 0.5])
    return wave(425 * times) * switch(random, times, on, on)


def make_dial_tone(random, times):
    """Return a dial tone."""
    first, second = random.choice([[350, 440], [425, 400], [440, 480]])
    return wave(first * times) + wave(second * times)


def make_two_tone_horn(random, times):
    """Return the horn of a fire engine."""
    low, interval = random.uniform(350, 600), random.choice([1.2, 1.26, 1.335, 1.5])
    alternate = np.where(times % (period := random.uniform(0.8, 2)) < period / 2, 1, interval)
    return wave(turn(low * alternate, times), random.choice(["pulse", "ramp"]))


def make_air_raid_siren(random, times):
    """Return a siren that rises and falls slowly."""
    rise = np.abs(wave(times / random.uniform(3, 12), "triangle"))
    phase = turn(random.uniform(200, 300) + random.uniform(200, 600) * rise, times)
    return wave(phase, "pulse") + 0.3 * wave(1.2 * phase, "pulse")


def make_car_alarm(random, times):
    """Return a siren that falls again and again."""
    pitch = random.uniform(700, 1500) * (1 + 0.4 * wave(times * random.uniform(3, 9), "ramp"))
    return wave(turn(pitch, times), "pulse")


def make_electronic_ringer(random, times):
    """Return an electronic telephone that rings."""
    base = random.uniform(700, 1800)
    pitch = base * np.where(times * random.uniform(15, 30) % 1 < 0.5, 1, random.uniform(1.1, 1.4))
    rings = switch(random, times, random.uniform(0.7, 2), random.uniform(0.5, 3))
    return wave(turn(pitch, times), "triangle") * rings


def make_beeps(random, times):
    """Return beeps."""
    tone = wave(2 ** random.uniform(8.5, 11.5) * times, random.choice(["sine", "pulse"]))
    return tone * switch(random, times, random.uniform(0.05, 0.5), random.uniform(0.1, 1))


def make_morse(random, times):
    """Return Morse code."""
    dot = random.uniform(0.05, 0.12)
    code = random.choice([0, 1, 1], int(times[-1] / dot) + 1)
    return wave(random.uniform(400, 1000) * times) * code[(times / dot).astype(int)]


# Clicks


def make_crackle(random, times):
    """Return the crackle of a record or a fire."""
    starts = list_starts(random, times, random.uniform(0.03, 0.4), 2)
    return place_all(times, starts, lambda: decay(random, times, 0.001, (), random.exponential()))


def make_keyboard(random, times):
    """Return typing."""
    starts = list_starts(random, times, random.uniform(0.12, 0.35), 0.8)
    resonances = random.uniform(300, 3000, 3)
    return place_all(times, starts, lambda: decay(random, times, 0.02, resonances, 0.7))


def make_ticking(random, times):
    """Return a clock that goes tick-tock."""
    tick, tock = (random.uniform(1000, 4000, 3) for _ in range(2))
    starts = list_starts(random, times, random.choice([0.2, 0.25, 0.5, 1.0]))
    strokes = iter([tick, tock] * len(starts))
    return place_all(times, starts, lambda: decay(random, times, 0.01, next(strokes), 0.1))


def make_beat(random, times):
    """Return a metronome."""
    pitches = random.uniform(600, 1500) * np.array([1, 1.5])
    starts = list_starts(random, times, 60 / random.uniform(50, 200))
    return place_all(times, starts, lambda: decay(random, times, 0.03, pitches, 0))


def make_knocking(random, times):
    """Return knocks on a door."""
    starts = list_starts(random, times, random.uniform(0.18, 0.6), 0.1)
    pitches = random.uniform(80, 400, 4)
    return place_all(times, starts, lambda: decay(random, times, 0.06, pitches, 0.2))


def make_footsteps(random, times):
    """Return footsteps."""
    starts = list_starts(random, times, random.uniform(0.4, 0.7), 0.08)
    pitches = random.uniform(60, 150, 2)
    return place_all(times, starts, lambda: decay(random, times, 0.08, pitches, 0.6))


def make_clapping(random, times):
    """Return applause."""
    starts = list_starts(random, times, 1 / random.uniform(15, 250), 4)
    claps = place_all(times, starts, lambda: decay(random, times, 0.012, (), random.exponential()))
    return sosfilt(butter(1, [500, 3000], "bandpass", fs=rate_of(times), output="sos"), claps)


# Hum


def make_mains_hum(random, times):
    """Return mains hum, rectified."""
    phase = random.choice([50, 60]) * times
    rectified = np.abs(wave(phase)) ** random.uniform(0.3, 1)
    return rectified - rectified.mean() + random.uniform(0, 1) * wave(phase)


def make_transformer(random, times):
    """Return the harmonics of a transformer in some noise."""
    phase = random.choice([100, 120]) * times
    harmonics = random.exponential(size=12) / np.arange(1, 13) ** random.uniform(0, 1)
    hum = sum(a * wave(k * phase + random.uniform()) for k, a in enumerate(harmonics, 1))
    return level_out(hum) + random.uniform(0.01, 0.5) * random.normal(size=len(times))


# Music


def sing_string(random, times, pitch):
    """Return a plucked string: partials that are slightly too high and die away."""
    stiffness, slowest = 10 ** random.uniform(-5, -3), random.uniform(0.4, 2)
    place = random.uniform(0.1, 0.4)
    return sum(
        np.sin(np.pi * k * place) / k * wave(pitch * k * np.sqrt(1 + stiffness * k**2) * times)
        * np.exp(-times * k**0.7 / slowest)
        for k in range(1, 16)
        if k * pitch < 0.45 * rate_of(times)
    )  # fmt: skip


def pluck(random, times, pitch):
    """Return a plucked string, after Karplus and Strong: a burst of noise in a loop."""
    period = max(round(rate_of(times) / pitch), 2)
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1, -0.498, -0.498
    burst = np.zeros(len(times))
    burst[:period] = random.normal(size=min(period, len(times)))
    return lfilter([1], loop, burst)


def bow(random, times, pitch):
    """Return a bowed string with vibrato."""
    depth, speed = random.uniform(0, 0.012), random.uniform(4.5, 6.5)
    phase = turn(pitch * (1 + depth * np.minimum(times / 0.4, 1) * wave(speed * times)), times)
    low = butter(1, min(random.uniform(1500, 4000) / rate_of(times) * 2, 0.9))
    return lfilter(*low, wave(phase, "ramp")) * np.minimum(times / 0.05, 1)


def blow(random, times, pitch):
    """Return a flute: few partials, breath and vibrato."""
    phase = turn(pitch * (1 + 0.006 * wave(5 * times)), times)
    breath = 0.05 * random.normal(size=len(times))
    return (wave(phase) + 0.3 * wave(2 * phase) + breath) * np.minimum(times / 0.04, 1)


def pipe(random, times, pitch):
    """Return an organ pipe, or several."""
    partials = random.choice([1, 2, 3, 4, 5, 6, 8], random.integers(2, 6), replace=False)
    return sum(wave(k * pitch * times) for k in partials)


def chime(random, times, pitch):
    """Return a bar of a vibraphone or glockenspiel."""
    tremolo = 1 + random.uniform(0, 0.5) * wave(random.uniform(4, 7) * times)
    bars = ((1, 1), (2.76, 0.4), (5.4, 0.15))
    struck = sum(a * wave(k * pitch * times) * np.exp(-1.5 * k * times) for k, a in bars)
    return tremolo * struck


INSTRUMENTS = (sing_string, pluck, bow, blow, pipe, chime)


def play(random, times, instrument, notes):
    """Play notes: start and length in seconds, and pitch in hertz."""
    signal, rate = np.zeros(len(times)), rate_of(times)
    for start, length, pitch in notes:
        first = round(start * rate)
        part_times = times[: min(round(length * rate), len(times) - first)]
        if len(part_times) > 2:
            ends = np.minimum(1, (part_times[-1] - part_times) / 0.02)
            signal[first : first + len(part_times)] += ends * instrument(random, part_times, pitch)
    return signal


def choose_instrument(random):
    """Choose one of `INSTRUMENTS`."""
    return INSTRUMENTS[random.integers(len(INSTRUMENTS))]


def make_melody(random, times, instrument=None):
    """Return a melody that goes by steps."""
    key, beat, start, step, notes = 2 ** random.uniform(6.5, 9), random.uniform(0.25, 0.6), 0, 3, []
    while start < times[-1]:
        length = beat * random.choice([0.5, 1, 1, 1.5, 2])
        step = int(np.clip(step + random.integers(-2, 3), 0, 7))
        notes.append((start, length, key * 2 ** (SCALE[step] / 12)))
        start += length
    return play(random, times, instrument or choose_instrument(random), notes)


def make_chords(random, times, instrument=None):
    """Return chords of three or four notes."""
    key, length, notes = 2 ** random.uniform(6.5, 8), random.uniform(0.5, 2.5), []
    for start in np.arange(0, times[-1], length):
        root = random.integers(0, 4)
        tones = SCALE[[root, root + 2, root + 4]][: random.integers(2, 4)]
        notes += [(start, length, key * 2 ** (tone / 12)) for tone in tones]
    return play(random, times, instrument or choose_instrument(random), notes)


def make_broken_chords(random, times):
    """Return broken chords in even notes, up and down, which ring on."""
    key, length = 2 ** random.uniform(6.5, 8.5), random.uniform(0.15, 0.45)
    pattern, ringing = SCALE[[0, 2, 4, 7, 4, 2]], random.uniform(1, 4)
    starts = np.arange(0, times[-1], length)
    notes = [(s, ringing * length, key * 2 ** (pattern[n % 6] / 12)) for n, s in enumerate(starts)]
    return play(random, times, choose_instrument(random), notes)


def make_organ(random, times):
    """Return chords and a melody on an organ."""
    return make_chords(random, times, pipe) + make_melody(random, times, pipe)


def make_guitar(random, times):
    """Return a melody and chords on plucked strings."""
    return make_melody(random, times, pluck) + 0.5 * make_chords(random, times, sing_string)


def make_violin(random, times):
    """Return a melody on a bowed string."""
    return make_melody(random, times, bow)


def make_drum_machine(random, times):
    """Return a pattern of a bass drum, a snare drum, a hi-hat and a tom-tom."""
    beat = 60 / random.uniform(70, 170)
    kick_hz, tom_hz = random.uniform(45, 70), random.uniform(90, 180)
    drums = (
        (beat, 0, lambda: decay(random, times, 0.25, [kick_hz, 1.5 * kick_hz], 0.02)),
        (2 * beat, beat, lambda: 0.7 * decay(random, times, 0.12, [190], 0.6)),
        (beat / 2, 0, lambda: 0.3 * np.diff(decay(random, times, 0.05, (), 1), prepend=0)),
        (4 * beat, 2.5 * beat, lambda: 0.7 * decay(random, times, 0.3, [tom_hz], 0.05)),
    )
    chosen = [drum for drum in drums if random.random() < 0.8] or drums[:2]
    parts = [place_all(times, np.arange(at, times[-1], gap), make) for gap, at, make in chosen]
    return sum(parts)


def make_ensemble(random, times):
    """Return two or three of drums, chords, a bass and a melody."""
    parts = [make_drum_machine, make_chords, make_broken_chords, make_melody]
    chosen = random.choice(len(parts), random.integers(2, 4), replace=False)
    return sum(random.uniform(0.4, 1) * level_out(parts[n](random, times)) for n in chosen)


KINDS = {
    "noise": {
        "white noise": make_hiss,
        "waterfall (pink noise)": make_waterfall,
        "rumble (brown noise)": make_rumble,
        "noise with a resonance": make_resonant_noise,
        "wind": make_gusts,
        "rain on a roof": make_rain_on_a_roof,
        "sea": make_sea,
        "distant crowd": make_distant_crowd,
        "vehicle": make_vehicle,
        "vacuum cleaner": make_vacuum_cleaner,
        "fan": make_fan,
    },
    "tones": {
        "steady tone": make_steady_tone,
        "modulated tone": make_modulated_tone,
        "sweep": make_sweep,
        "dialling": make_dialling,
        "busy line": make_busy_line,
        "dial tone": make_dial_tone,
        "horn of two tones": make_two_tone_horn,
        "air-raid siren": make_air_raid_siren,
        "car alarm": make_car_alarm,
        "telephone ringing": make_electronic_ringer,
        "beeps": make_beeps,
        "Morse code": make_morse,
    },
    "clicks": {
        "crackle": make_crackle,
        "typing": make_keyboard,
        "clock": make_ticking,
        "metronome": make_beat,
        "knocks": make_knocking,
        "footsteps": make_footsteps,
        "applause": make_clapping,
    },
    "hum": {"mains hum": make_mains_hum, "transformer": make_transformer},
    "music": {
        "melody": make_melody,
        "chords": make_chords,
        "broken chords": make_broken_chords,
        "organ": make_organ,
        "guitar": make_guitar,
        "violin with vibrato": make_violin,
        "drums": make_drum_machine,
        "ensemble": make_ensemble,
    },
}


# What a room, a device or an editor does to them


def reverberate(random, times, signal):
    """Add the reverberation of a room or hall."""
    seconds = random.uniform(0.3, 2.5)
    response_times = times[times < seconds]
    tail = random.normal(size=len(response_times)) * np.exp(-6.9 * response_times / seconds)
    echo = level_out(fftconvolve(signal, tail)[: len(signal)])
    return level_out(signal) + random.uniform(0.2, 1) * echo


def narrow(random, times, signal):
    """Keep a narrow band, as a cheap loudspeaker or an encoder at a low bit rate does."""
    rate = rate_of(times)
    edges = [random.uniform(60, 300), min(random.uniform(2500, 6000), 0.45 * rate)]
    return sosfilt(butter(6, edges, "bandpass", fs=rate, output="sos"), signal)


def fade(random, times, signal):
    """Fade in and out."""
    seconds = random.uniform(0.1, times[-1] / 2)
    return signal * np.minimum(np.minimum(times, times[-1] - times) / seconds, 1)


def make_sounds(kind, count, seed) -> Iterator[tuple[np.ndarray, int]]:
    """Yield sounds of a kind, named as in `KINDS`, as samples and their rate in hertz.

    Lengths, sample rates and levels vary. Each alteration is made to every third.
    """
    random = np.random.default_rng([seed, *kind.encode()])
    (make,) = (kinds[kind] for kinds in KINDS.values() if kind in kinds)
    for _ in range(count):
        rate = int(random.choice(SAMPLE_RATES_HZ))
        seconds = np.exp(random.uniform(np.log(SHORTEST_SECONDS), np.log(LONGEST_SECONDS)))
        times = np.arange(round(seconds * rate)) / rate
        signal = make(random, times)
        for alter in (reverberate, narrow, fade):
            if random.random() < 1 / 3:
                signal = alter(random, times, signal)
        level = 10 ** (random.uniform(QUIETEST_DB, LOUDEST_DB) / 20)
        yield level * signal / np.abs(signal).max(), rate
