"""Chapter 1: sound as numbers: waveforms, spectra and back, files, pitch. Nothing here imports torch."""

from .files import blocks, check_output, check_writable, load, open_to_write, save, write_whole
from .spectrum import (
    FLOOR,
    frame_length,
    griffin_lim,
    hz_to_mel,
    istft,
    mel_cepstrum,
    mel_filterbank,
    mel_spectrogram,
    mel_to_hz,
    mfcc,
    speech_features,
    stft,
)
from .waveform import (
    autocorrelation,
    check_positive,
    check_waveform,
    fit_length,
    mu_law_decode,
    mu_law_encode,
    resample,
    speech_level,
    to_level,
)
