"""The functions against the float64 oracles, forward and backward."""

import numpy as np
import pytest
from autodiff import close, gradients
from keras import ops

from tern_keras.ops import (
    adaptive_penalty,
    binary_connect,
    bwn,
    dorefa,
    residual_expansion,
    sq,
    statistical_scaling,
    truncated_gaussian,
    ttq,
    twn,
)

pytestmark = pytest.mark.shared


def cases(oracles, method):
    w, g = (np.array(oracles[key], np.float32) for key in "wg")
    found = [case for case in oracles["cases"] if case["method"] == method]
    assert found
    for case in found:
        shape = np.shape(case.get("q", w))
        yield case, case["args"], w.reshape(shape), g.reshape(shape)


def weighted(function, g):
    return lambda *arguments: ops.sum(function(*arguments) * g)


def test_twn(oracles):
    for case, args, w, g in cases(oracles, "twn"):
        axis = (0,) if args.get("per_filter") else None
        close(twn(w, args["factor"], axis), case["q"])
        (dw,) = gradients(weighted(lambda w, a=args, x=axis: twn(w, a["factor"], x), g), w)
        close(dw, case["dw"])


def test_ttq(oracles):
    for case, args, w, g in cases(oracles, "ttq"):
        options = {key: args[key] for key in ("threshold", "sparsity") if key in args}
        wp, wn = np.float32(args["wp"]), np.float32(args["wn"])
        close(ttq(w, wp, wn, **options), case["q"])
        dw, dwp, dwn = gradients(weighted(lambda *a, o=options: ttq(*a, **o), g), w, wp, wn)
        close(dw, case["dw"])
        close(dwp, case["dwp"])
        close(dwn, case["dwn"])


def test_sq(oracles):
    for case, args, w, g in cases(oracles, "sq"):
        delta, binary = 0.2 * args["sigma"], args.get("binary", False)
        mu = np.float32(args["mu"])
        close(sq(w, mu, delta, binary), case["q"])
        dw, dmu = gradients(weighted(lambda w, mu, d=delta, b=binary: sq(w, mu, d, b), g), w, mu)
        close(dw, case["dw"])
        close(dmu, case["dmu"])


def test_adaptive_penalty(oracles):
    for case, args, w, _ in cases(oracles, "sq_penalty"):
        mu, beta = np.float32(args["mu"]), np.float32(args["beta"])
        penalty = lambda w, mu, beta, a=args: (  # noqa: E731
            a["strength"] * adaptive_penalty(w, mu, beta, a["gamma"], a.get("p", 1))
        )
        close(penalty(w, mu, beta), case["loss"])
        dw, dmu, dbeta = gradients(penalty, w, mu, beta)
        for key, value in (("dw", dw), ("dmu", dmu), ("dbeta", dbeta)):
            if key in case:
                close(value, case[key])


UNTRAINED = {
    "bc": binary_connect,
    "bwn": lambda w, per_filter=False: bwn(w, (0,) if per_filter else None),
    "dorefa": dorefa,
    "sws": statistical_scaling,
    "rel": residual_expansion,
}


@pytest.mark.parametrize("method", UNTRAINED)
def test_methods_without_trained_state(oracles, method):
    for case, args, w, g in cases(oracles, method):
        close(UNTRAINED[method](w, **args), case["q"])
        (dw,) = gradients(weighted(lambda w, a=args: UNTRAINED[method](w, **a), g), w)
        close(dw, case["dw"])


def test_truncated_gaussian(oracles):
    for case, args, w, g in cases(oracles, "tga"):
        delta, options = np.float32(args["delta"]), {"stats_gradient": args["stats_gradient"]}
        close(truncated_gaussian(w, delta, **options), case["q"])
        dw, ddelta = gradients(weighted(lambda w, d, o=options: truncated_gaussian(w, d, **o), g), w, delta)
        np.testing.assert_allclose(dw, case["dw"], rtol=1e-4, atol=1e-6)
        close(ddelta, case["ddelta"])
