"""scikit-learn: linear classifiers, multi-layer perceptrons and nearest neighbors, also after linear transformers."""

from coreml_updatable.converting.contract import ConvertedSource, SourceRequest


def convert(request: SourceRequest) -> ConvertedSource:
    """Convert the fitted estimator in a skops file, or an estimator object.

    The model computes ``predict_proba`` of the estimator within 1e-5 in probability (1e-6 for features of usual size;
    Core ML computes in 32 bits). LogisticRegression, SGDClassifier with log_loss, LinearDiscriminantAnalysis and
    MLPClassifier become networks, KNeighborsClassifier an updatable nearest-neighbors classifier with its samples; a
    Pipeline may contain linear transformers before one of them (linear.py). These stay separate steps before the
    updatable layers, as in scikit-learn: if a scaler were folded into the weights, these would train on raw features,
    which no single learning rate suits. Pickles, and skops files with custom types, run as code and are refused without
    ``request.trust_code``. Raises SourceError with one sentence for all other contents.
    """
    from coreml_updatable.errors import SourceError

    try:
        return _converted(request)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"source: the estimator is incomplete ({type(error).__name__}: {error}); fit it again and save it"
        ) from error


def _converted(request: SourceRequest) -> ConvertedSource:
    from .answers import answers_of, rows_for
    from .neighbors import is_neighbors, neighbors_of
    from .networks import network_of
    from .reading import read_estimator
    from .steps import feature_count, input_name, labels_of, steps_of

    estimator = read_estimator(request.source, request.trust_code)
    linear, classifier = steps_of(estimator)
    name = input_name(request.inputs, linear[0].features if linear else feature_count(classifier))
    labels = labels_of(classifier, request.labels)
    build = neighbors_of if is_neighbors(classifier) else network_of
    return ConvertedSource(
        model=build(classifier, linear, name, labels),
        labels=labels,
        answers=answers_of(estimator, name),
        reference="scikit-learn's predict_proba",
        tolerance=1e-5,
        rows=rows_for(classifier, linear, name, request.seed),
        facts={"estimator": type(classifier).__name__, "linear steps": len(linear)},
    )
