"""Support vector machines against scikit-learn's, which are LIBSVM's; coremltools' converter writes some messages."""

import tracemalloc
import warnings
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.svm import SVC, SVR, NuSVC, NuSVR

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime import load
from coreml_updatable.runtime.assumptions import PredictionAssumptions as Assumptions
from coreml_updatable.runtime.steps.support_vectors import _coupled

KERNELS: list[dict[str, Any]] = [
    {"kernel": "linear"},
    {"kernel": "rbf", "gamma": 0.3},
    {"kernel": "rbf", "gamma": "scale"},
    {"kernel": "poly", "degree": 3, "coef0": 0.7, "gamma": 0.4},
    {"kernel": "poly", "degree": 2, "coef0": 0.0, "gamma": "auto"},
    {"kernel": "sigmoid", "gamma": 0.1, "coef0": -0.2},
]
WIDTH = 4


@pytest.fixture
def data(random: Any) -> tuple[Any, Any]:
    x = random.normal(size=(120, WIDTH))
    return x, np.digitize(x @ [1, -2, 0.5, 0] + np.square(x[:, 3]) + random.normal(size=120) * 0.5, [-0.8, 0.4, 1.7])


def fitted_classifier(kind: Any, x: Any, y: Any, **settings: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of `probability`, which is what is tried here
        return kind(random_state=0, **settings).fit(x, y)


def fill_kernel(machine: Any, fitted: Any) -> None:
    match fitted.kernel:
        case "linear":
            machine.kernel.linearKernel.SetInParent()
        case "rbf":
            machine.kernel.rbfKernel.gamma = fitted._gamma
        case "poly":
            kernel = machine.kernel.polyKernel
            kernel.gamma, kernel.c, kernel.degree = fitted._gamma, fitted.coef0, fitted.degree
        case "sigmoid":
            machine.kernel.sigmoidKernel.gamma, machine.kernel.sigmoidKernel.c = fitted._gamma, fitted.coef0


def fill_vectors(machine: Any, fitted: Any, sparse: bool) -> None:
    for vector in fitted.support_vectors_:
        if sparse:
            nodes = machine.sparseSupportVectors.vectors.add().nodes
            for index in np.flatnonzero(vector):
                nodes.add(index=int(index) + 1, value=float(vector[index]))
        else:
            machine.denseSupportVectors.vectors.add().values.extend(vector.tolist())


def fill_classifier(machine: Any, fitted: Any, sparse: bool = False) -> None:
    """From scikit-learn's public attributes. For two classes it turns the signs of both around."""
    fill_kernel(machine, fitted)
    fill_vectors(machine, fitted, sparse)
    sign = -1 if len(fitted.classes_) == 2 else 1
    for row in fitted.dual_coef_:
        machine.coefficients.add().alpha.extend((sign * row).tolist())
    machine.rho.extend((-sign * fitted.intercept_).tolist())
    machine.numberOfSupportVectorsPerClass.extend(int(count) for count in fitted.n_support_)
    machine.probA.extend(fitted._probA.tolist())
    machine.probB.extend(fitted._probB.tolist())


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("kind", [SVC, NuSVC])
def test_classifiers_without_probabilities(
    classifier: Any, data: Any, kind: Any, kernel: dict[str, Any], classes: int, sparse: bool
) -> None:
    x, y = data
    x = np.where(abs(x) < 0.5, 0, x) if sparse else x
    labels: list[Any] = ["p", "q", "r", "s"][:classes] if sparse else [7, -2, 0, 12][:classes]
    settings = {"nu": 0.3} if kind is NuSVC else {}
    fitted = fitted_classifier(kind, x, np.minimum(y, classes - 1), **kernel, **settings)
    spec = classifier({"x": [WIDTH]}, labels, "supportVectorClassifier")
    spec.description.predictedProbabilitiesName = ""
    del spec.description.output[1]
    fill_classifier(spec.supportVectorClassifier, fitted, sparse)
    others = np.random.default_rng(5).normal(size=(200, WIDTH))
    answers = load(spec).predict([{"x": row} for row in others])
    assert [answer["label"] for answer in answers] == [labels[at] for at in fitted.predict(others)]
    assert answers[0].keys() == {"label"}


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("classes", [3, 4])
def test_probabilities_of_several_classes(classifier: Any, data: Any, kernel: dict[str, Any], classes: int) -> None:
    x, y = data
    fitted = fitted_classifier(SVC, x, np.minimum(y, classes - 1), probability=True, **kernel)
    labels = ["p", "q", "r", "s"][:classes]
    spec = classifier({"x": [WIDTH]}, labels, "supportVectorClassifier")
    fill_classifier(spec.supportVectorClassifier, fitted)
    answers = load(spec).predict([{"x": row} for row in x])
    result = np.array([[answer["probs"][label] for label in labels] for answer in answers])
    np.testing.assert_allclose(result, fitted.predict_proba(x), rtol=1e-9, atol=1e-12)
    assert [answer["label"] for answer in answers] == [labels[at] for at in fitted.predict(x)]


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_the_label_is_that_of_the_votes_or_the_most_likely(classifier: Any, data: Any, classes: int) -> None:
    """scikit-learn's ``predict`` and the greatest of its ``predict_proba``; offsets make them differ often."""
    x, y = data
    fitted = fitted_classifier(SVC, x, np.minimum(y, classes - 1), probability=True)
    fitted._probB[:] += np.linspace(-1, 1, len(fitted._probB)) if classes > 2 else 1
    labels = ["p", "q", "r", "s"][:classes]
    spec = classifier({"x": [WIDTH]}, labels, "supportVectorClassifier")
    fill_classifier(spec.supportVectorClassifier, fitted)
    rows = [{"x": row} for row in np.random.default_rng(6).normal(size=(300, WIDTH))]
    values = np.array([row["x"] for row in rows])
    votes = [labels[at] for at in fitted.predict(values)]
    likely = [labels[at] for at in fitted.predict_proba(values).argmax(1)]
    assert votes != likely
    for choice, expected in (("votes", votes), ("probabilities", likely)):
        chosen: Any = {"support_vector_label": choice}
        answers = load(spec, assumptions=Assumptions(**chosen)).predict(rows)
        assert [answer["label"] for answer in answers] == expected
    spec.description.predictedProbabilitiesName = ""
    del spec.description.output[1]
    answers = load(spec, assumptions=Assumptions(support_vector_label="probabilities")).predict(rows)
    assert [answer["label"] for answer in answers] == votes


def test_probabilities_of_two_classes(classifier: Any, data: Any) -> None:
    """scikit-learn couples the one pair as well, to 0.005 of what the pair says; Platt's formula is the answer here."""
    x, y = data
    fitted = fitted_classifier(SVC, x, y > 1, probability=True)
    spec = classifier({"x": [WIDTH]}, ["no", "yes"], "supportVectorClassifier")
    fill_classifier(spec.supportVectorClassifier, fitted)
    answers = load(spec).predict([{"x": row} for row in x])
    result = np.array([answer["probs"]["no"] for answer in answers])
    np.testing.assert_allclose(result, fitted.predict_proba(x)[:, 0], atol=0.005)
    scores = -fitted.decision_function(x)  # LIBSVM's first class is what scikit-learn calls negative
    np.testing.assert_allclose(result, 1 / (1 + np.exp(fitted._probA * scores + fitted._probB)), rtol=1e-9)


def test_coupling_finds_the_minimum(random: Any) -> None:
    """Of the sum that the paper states, by SciPy's own minimizer; LIBSVM's bound stops within 0.005 of it."""
    for classes in (3, 5, 8):
        r = np.triu(random.uniform(0.02, 0.98, (classes, classes)), 1)
        r += np.tril(1 - r.T, -1)

        def total(p: Any, r: Any = r) -> float:
            return float(np.square(r.T * p[:, None] - r * p[None]).sum())

        best = minimize(
            total, np.full(classes, 1 / classes), bounds=[(0, 1)] * classes,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1}, tol=1e-12,
        )  # fmt: skip
        np.testing.assert_allclose(_coupled(r), best.x, atol=0.005)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("kind", [SVR, NuSVR])
def test_regressors(describe: Any, data: Any, kind: Any, kernel: dict[str, Any], sparse: bool) -> None:
    x, y = data
    fitted = kind(**kernel).fit(x, y)
    spec = describe({"x": [WIDTH]}, {"y": "double"})
    spec.description.predictedFeatureName = "y"
    machine = spec.supportVectorRegressor
    fill_kernel(machine, fitted)
    fill_vectors(machine, fitted, sparse)
    machine.coefficients.alpha.extend(fitted.dual_coef_[0].tolist())
    machine.rho = -float(fitted.intercept_[0])
    answers = load(spec).predict([{"x": row} for row in x])
    np.testing.assert_allclose([answer["y"] for answer in answers], fitted.predict(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("module", ["_SVC", "_NuSVC", "_SVR", "_NuSVR"])
def test_what_coremltools_converts(data: Any, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its converter was written for an older scikit-learn, and works with this one when it is not asked."""
    converters = {name: import_module(f"coremltools.converters.sklearn.{name}") for name in (module, "_SVC", "_SVR")}
    skipped = SimpleNamespace(check_fitted=lambda *_: None, check_expected_type=lambda *_: None)
    for converter in converters.values():
        monkeypatch.setattr(converter, "_HAS_SKLEARN", True)
        monkeypatch.setattr(converter, "check_fitted", lambda *_: None, raising=False)
        monkeypatch.setattr(converter, "_sklearn_util", skipped, raising=False)
        monkeypatch.setattr(converter, module, None, raising=False)
    x, y = data
    kind = {"_SVC": SVC, "_NuSVC": NuSVC, "_SVR": SVR, "_NuSVR": NuSVR}[module]
    regresses = module.endswith("R")
    settings = {} if regresses else {"nu": 0.3} if module == "_NuSVC" else {"probability": True}
    fitted = kind(**settings).fit(x, y) if regresses else fitted_classifier(kind, x, y, **settings)
    from coremltools.models import datatypes

    target: Any = [("y", datatypes.Double() if regresses else datatypes.Int64())]
    if module == "_SVC":
        target.append(("probs", datatypes.Dictionary(datatypes.Int64())))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        features = [("x", datatypes.Array(WIDTH))]
        spec = converters[module].convert(fitted, features, "y" if regresses else target).get_spec()
    answers = load(spec).predict([{"x": row} for row in x])
    result = np.array([answer["y"] for answer in answers])
    np.testing.assert_allclose(result, fitted.predict(x), rtol=1e-9, atol=1e-9)
    if module == "_SVC":
        shares = [[answer["probs"][int(label)] for label in fitted.classes_] for answer in answers]
        np.testing.assert_allclose(shares, fitted.predict_proba(x), rtol=1e-9, atol=1e-12)


def _spoil(machine: Any, how: str) -> None:
    match how:
        case "no kernel":
            machine.ClearField("kernel")
        case "no vectors":
            machine.ClearField("denseSupportVectors")
        case "uneven vectors":
            machine.denseSupportVectors.vectors[1].values.append(1.0)
        case "fewer vectors":
            del machine.denseSupportVectors.vectors[0]
        case "narrow vectors":
            for vector in machine.denseSupportVectors.vectors:
                del vector.values[0]
        case "degree":
            machine.kernel.polyKernel.degree = -2
        case "counts":
            machine.numberOfSupportVectorsPerClass[0] += 1
        case "a count below 0":
            machine.numberOfSupportVectorsPerClass[0] += machine.numberOfSupportVectorsPerClass[1] + 1
            machine.numberOfSupportVectorsPerClass[1] = -1
        case "a huge count":
            machine.numberOfSupportVectorsPerClass[0] = 2**31 - 1
        case "no counts":
            del machine.numberOfSupportVectorsPerClass[:]
        case "a row less":
            del machine.coefficients[0]
        case "a coefficient less":
            del machine.coefficients[0].alpha[0]
        case "rho":
            del machine.rho[0]
        case "a rho of a training that failed":
            machine.rho[0] = np.nan
        case "coefficients of a training that failed":
            machine.coefficients[0].alpha[0] = np.inf
        case "probA":
            del machine.probA[0]
        case "probB":
            machine.probB.append(0.1)
        case "no probabilities":
            del machine.probA[:]
        case "an index of 0":
            machine.sparseSupportVectors.vectors.add().nodes.add(index=0, value=1.0)
        case "an index below 0":
            machine.sparseSupportVectors.vectors.add().nodes.add(index=-(2**31), value=1.0)
        case "an index twice":
            nodes = machine.sparseSupportVectors.vectors.add().nodes
            nodes.add(index=2, value=1.0)
            nodes.add(index=2, value=1.0)
        case "an index too large":
            for count in machine.numberOfSupportVectorsPerClass:
                for _ in range(count):
                    machine.sparseSupportVectors.vectors.add().nodes.add(index=2**31 - 1, value=1.0)


SPOILT = (
    "no kernel", "no vectors", "uneven vectors", "fewer vectors", "narrow vectors", "degree", "counts",
    "a count below 0", "a huge count", "no counts", "a row less", "a coefficient less", "rho", "probA", "probB",
    "a rho of a training that failed", "coefficients of a training that failed",
    "no probabilities", "an index of 0", "an index below 0", "an index twice", "an index too large",
)  # fmt: skip


@pytest.fixture
def machine(classifier: Any, data: Any) -> Any:
    """Three classes, a polynomial."""
    x, y = data
    fitted = fitted_classifier(SVC, x, np.minimum(y, 2), probability=True, kernel="poly")
    spec = classifier({"x": [WIDTH]}, ["p", "q", "r"], "supportVectorClassifier")
    fill_classifier(spec.supportVectorClassifier, fitted)
    return spec


@pytest.mark.parametrize("how", SPOILT)
def test_a_message_at_fault_is_refused(machine: Any, how: str) -> None:
    load(machine).predict({"x": np.ones(WIDTH)})
    _spoil(machine.supportVectorClassifier, how)
    with pytest.raises(ModelError, match=r"^model: .+; .*export"):
        load(machine).predict({"x": np.ones(WIDTH)})


@pytest.mark.parametrize("how", ["no kernel", "no vectors", "uneven vectors", "fewer vectors", "narrow vectors"])
def test_a_regressor_at_fault_is_refused(describe: Any, how: str) -> None:
    spec = describe({"x": [2]}, {"y": "double"})
    spec.description.predictedFeatureName = "y"
    machine = spec.supportVectorRegressor
    machine.kernel.linearKernel.SetInParent()
    for _ in range(2):
        machine.denseSupportVectors.vectors.add().values.extend([1.0, 2.0])
    machine.coefficients.alpha.extend([1.0, -2.0])
    assert load(spec).predict({"x": [1, 1]}) == {"y": -3.0}
    _spoil(machine, how)
    with pytest.raises(ModelError, match=r"^model: .+; export"):
        load(spec).predict({"x": [1, 1]})


def test_a_regressor_of_a_training_that_failed_is_refused(describe: Any) -> None:
    spec = describe({"x": [2]}, {"y": "double"})
    spec.description.predictedFeatureName = "y"
    machine = spec.supportVectorRegressor
    machine.kernel.linearKernel.SetInParent()
    machine.denseSupportVectors.vectors.add().values.extend([1.0, 2.0])
    for alpha, rho in ((1.0, np.nan), (np.inf, 0.0)):
        machine.coefficients.alpha[:], machine.rho = [alpha], rho
        with pytest.raises(ModelError, match="training failed"):
            load(spec)


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e200])
def test_scores_that_are_not_finite_are_no_answer(machine: Any, value: float) -> None:
    with pytest.raises(DataError, match=r"^row 1: .+(finite|NaN)"):
        load(machine).predict([{"x": np.zeros(WIDTH)}, {"x": np.full(WIDTH, value)}])


def test_many_classes_with_probabilities_are_refused(classifier: Any) -> None:
    labels = list(range(600))
    spec = classifier({"x": [1]}, labels, "supportVectorClassifier")
    machine = spec.supportVectorClassifier
    machine.kernel.linearKernel.SetInParent()
    machine.sparseSupportVectors.SetInParent()
    machine.numberOfSupportVectorsPerClass.extend([0] * 600)
    for _ in range(599):
        machine.coefficients.add()
    pairs = [0.0] * (600 * 599 // 2)
    for field in (machine.rho, machine.probA, machine.probB):
        field.extend(pairs)
    with pytest.raises(ModelError, match="600 classes"):
        load(spec)
    spec.description.predictedProbabilitiesName = ""
    del spec.description.output[1]
    assert load(spec).predict({"x": [1]}) == {"label": 599}  # every score is 0, which is a vote for the later class


def test_sparse_vectors_of_many_columns_take_no_more_than_their_values(describe: Any) -> None:
    """A thousand vectors that each name one of a million values; as a table they would be 8 GB."""
    width, count = 10**6, 1000
    spec = describe({"x": [width]}, {"y": "double"})
    spec.description.predictedFeatureName = "y"
    machine = spec.supportVectorRegressor
    machine.kernel.rbfKernel.gamma = 0.5
    for index in range(count):
        machine.sparseSupportVectors.vectors.add().nodes.add(index=(index + 1) * 1000, value=2.0)
    machine.coefficients.alpha.extend([1.0] * count)
    x = np.zeros(width)
    x[999] = 1.0
    tracemalloc.start()
    answer = load(spec).predict({"x": x})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer["y"] == pytest.approx(np.exp(-0.5) + (count - 1) * np.exp(-0.5 * 5))
    assert peak < 200e6
