"""Pictures of quantised models. Needs matplotlib: `pip install 'tern-keras[plots]'`."""

from tern_keras.plots.density import density_per_layer
from tern_keras.plots.histograms import latent_histograms
from tern_keras.plots.montage import kernel_montage
from tern_keras.plots.penalties import regularizer_curves
from tern_keras.plots.ridges import latent_ridges
from tern_keras.plots.sparsity import accuracy_against_sparsity

__all__ = [
    "accuracy_against_sparsity",
    "density_per_layer",
    "kernel_montage",
    "latent_histograms",
    "latent_ridges",
    "regularizer_curves",
]
