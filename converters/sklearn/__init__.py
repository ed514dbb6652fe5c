"""scikit-learn: linear classifiers, multi-layer perceptrons and nearest neighbours, also behind a StandardScaler."""

from coreml_updatable.converting.contract import ConvertedSource, SourceRequest


def convert(request: SourceRequest) -> ConvertedSource:
    """The fitted estimator in a skops file, or an estimator itself, as a Core ML model.

    The model answers ``predict_proba`` of the estimator, within 1e-5 in probability (1e-6 for features of usual size:
    Core ML computes in 32 bits). LogisticRegression, SGDClassifier with log_loss and MLPClassifier become networks,
    KNeighborsClassifier an updatable nearest-neighbours classifier with its samples; a Pipeline may hold
    StandardScalers before one of them. A scaler stays a step of its own in front of the layers that learn, as in
    scikit-learn: folded into their weights, it would leave them raw features, which no one learning rate suits.
    Pickles, and skops files with types of one's own, run as code and are refused unless ``request.trust_code``.
    Raises SourceError with one sentence for whatever else the file holds.
    """
    from coreml_updatable.errors import SourceError

    try:
        return _converted(request)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"source: the estimator is not whole ({type(error).__name__}: {error}); fit it again and save it"
        ) from error


def _converted(request: SourceRequest) -> ConvertedSource:
    from .answers import answers_of, rows_for
    from .neighbors import is_neighbors, neighbors_of
    from .networks import network_of
    from .reading import read_estimator
    from .steps import input_name, labels_of, steps_of

    estimator = read_estimator(request.source, request.trust_code)
    scalers, classifier = steps_of(estimator)
    name = input_name(request.inputs, classifier)
    labels = labels_of(classifier, request.labels)
    build = neighbors_of if is_neighbors(classifier) else network_of
    return ConvertedSource(
        model=build(classifier, scalers, name, labels),
        labels=labels,
        answers=answers_of(estimator, name),
        reference="scikit-learn's predict_proba",
        tolerance=1e-5,
        rows=rows_for(classifier, scalers, name, request.seed),
        facts={"estimator": type(classifier).__name__, "scalers": len(scalers)},
    )
