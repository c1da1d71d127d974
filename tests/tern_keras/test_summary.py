import keras
import numpy as np
from sample_models import cnn

from tern_keras import summary, ternarize

GOLDEN = """\
Ternary profile of cnn

  Layer       Type                   Kernel    Method    Bits   Density         Scales    MACs   Bytes
 ──────────────────────────────────────────────────────────────────────────────────────────────────────
  stem        Conv2D                 3x3x2x4   float32     32    100.0%              -   2,592     304
  norm        BatchNormalization     -         float32     32         -              -       -      64
  depthwise   QuantDepthwiseConv2D   3x3x4x1   ttq          2     75.0%   0.375 / 0.25     576      33
  conv        QuantConv2D            3x3x4x6   sq           2     75.0%       6 scales     864      78
  hidden      QuantDense             24x8      twn          2     75.0%          0.333     192      84
  head        QuantDense             8x3       ttq          2     75.0%   0.375 / 0.25      24      26

Stored 589 bytes of 2,300 as float32, 4,248 MACs a sample
Compression 3.90x with scales, biases and normalisation; 5.33x of the weights alone"""


def model():
    ternary = ternarize(cnn(), "ttq", skip=("first",), overrides={"conv": "sq", "hidden": "twn"})
    for layer in ternary.layers:
        if hasattr(layer, "kernel_quantizer"):
            layer.kernel.assign(np.resize([0.5, -0.25, 0.0, 0.25], layer.kernel.shape))
            layer.kernel_quantizer.calibrate(layer.kernel)
    return ternary


def test_golden_text():
    printed = []
    summary(model(), print_fn=printed.append)
    assert "\n".join(printed) == GOLDEN


def test_prints_by_default(capsys):
    summary(model())
    assert capsys.readouterr().out == GOLDEN + "\n"


def test_names_are_not_markup():
    printed = []
    layer = keras.layers.Dense(3, name="[bold]head")
    summary(keras.Sequential([keras.Input((2,)), layer], name="[red]m"), print_fn=printed.append)
    assert "[bold]head" in printed[0]
    assert "[red]m" in printed[0]
