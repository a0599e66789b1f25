"""Chapter 15: measuring speech: distances between sounds, recognition, listening tests."""

from .classifiers import DigitRecogniser
from .distances import (
    cepstral_distortion,
    compare,
    f0_error,
    f0_rmse,
    kl_divergence,
    log_mel_distance,
    log_spectral_distance,
    mel_cepstra,
    mel_cepstral_distortion,
    pesq,
    pitch_errors,
    real_time_factor,
    std_ratio,
    stft_distance,
    stoi,
    summarise,
    voicing_error,
    warped_distance,
)
from .listening_test import listeners_needed, permutation_test, wilson_interval
from .warping import dtw, warping_path
