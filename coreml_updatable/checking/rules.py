"""The table of rules: id, severity, function, remedy, and the public thread of the pain that the rule spares.

The number is that of the fact in ``numbered.py`` for which the rule answers; it never changes.

M model, N network, K nearest neighbors, P pipeline: what Apple's compiler enforces. L: what it misses.
"""

from coreml_updatable.checking import (
    contradictions,
    descriptions,
    first_step,
    graph,
    interface,
    layer_parameters,
    lint_machines,
    lint_network,
    lint_update,
    lint_weights,
    loss,
    model,
    nearest_neighbors,
    other_features,
    other_parameters,
    parameters,
    pipeline,
    ranks,
    stored_weights,
    training_inputs,
    updatable_layers,
)
from coreml_updatable.checking.problem import Rule

MODEL = (
    Rule("M1.1", "error", model.known_version, "write the version of the newest feature the model uses"),
    Rule("M1.2", "error", model.updatable_version, "set it to 4", "apple/turicreate#2258"),
    Rule("M1.3", "error", model.updatable_kind, "convert with convert_to='neuralnetwork'", "apple/coremltools#1417"),
    Rule("M1.6", "error", descriptions.features_described, "describe the feature completely"),
    Rule("M1.8", "error", model.inputs_and_outputs, "describe what the model is given and what it answers"),
    Rule("M1.9", "error", model.optional_inputs, "clear isOptional"),
    Rule("L1.4", "warning", model.no_program, "convert with convert_to='neuralnetwork'", "apple/coremltools#1417"),
    Rule("L1.13", "warning", model.sizes_possible, "declare the size that the model is given"),
    Rule("M1.10", "error", model.some_kind, "export the model again"),
    Rule("M1.11", "error", model.one_function, "clear functions and defaultFunctionName"),
)
NETWORK = (
    Rule("N2.1", "error", graph.layers_in_order, "convert the model again"),
    Rule("N2.2", "error", graph.outputs_distinct, "rename it"),
    Rule("N2.3", "error", graph.network_features, "change its type"),
    Rule("N2.4", "error", stored_weights.weight_counts, "convert the model again"),
    Rule(
        "N2.5",
        "error",
        stored_weights.one_precision,
        "widen all weights to 32 bits, or clear one of two storage fields",
    ),
    Rule("N2.6", "error", stored_weights.convolution_weights, "convert it again"),
    Rule("N2.8", "error", ranks.exact_mapping, "set it, and give the input its full shape"),
    Rule("N2.9", "error", ranks.rank_5_inputs, "use EXACT_ARRAY_MAPPING"),
    Rule("N2.13", "error", ranks.known_ranks, "mend the declared ranks, or reshape to [1, C, 1, 1] before the layer"),
    Rule("N2.16", "error", ranks.blobs_counted, "convert the model again"),
    Rule("N2.17", "error", layer_parameters.parameters_given, "convert the model again"),
    Rule("N2.18", "error", graph.outputs_written, "name the blob that the network answers"),
    Rule("N2.19", "error", graph.loops_closed, "convert the model again"),
    Rule("L2.6", "warning", stored_weights.products_hold_weights, "convert the model again"),
    Rule("L2.10", "warning", contradictions.shapes_agree, "look at the layer before the one that is named"),
    Rule(
        "L2.14",
        "warning",
        contradictions.softmax_rank,
        "export it again with softmaxND, which mark repairs",
        "apple/coremltools#1714",
    ),
    Rule(
        "L1714",
        "warning",
        contradictions.softmax_axis,
        "reshape to [1, C, 1, 1] before it, as mark does, or write softmaxND with the axis",
        "apple/coremltools#1714",
    ),
    Rule("L11.6", "warning", lint_weights.weights_finite, "train again"),
    Rule(
        "L1.12",
        "warning",
        interface.outputs_hold_fractions,
        "declare a Float32 array, or scale a picture's values to 0 to 255",
    ),
)
CLASSIFIER = (
    Rule("N8b.1", "error", interface.labels_given, "give labels"),
    Rule("N8b.2", "error", interface.label_output, "name the label's output, with the type of the labels"),
    Rule("N8b.3", "error", interface.probabilities_output, "name the output that holds the probabilities"),
    Rule("N8b.4", "error", interface.probabilities_blob, "name the softmax's blob"),
    Rule("N8b.5", "error", interface.other_outputs, "remove it or name a blob"),
    Rule("L5.9", "warning", interface.labels_fit_outputs, "mend the labels"),
)
REGRESSOR = (Rule("N8b.6", "error", interface.regressor_output, "name the output that holds the number"),)
UPDATABLE_NETWORK = (
    Rule("N3.1", "error", updatable_layers.any_updatable_layer, "mark a layer", "apple/coremltools#2383"),
    Rule("N3.2", "error", updatable_layers.updatable_layer_kinds, "clear its flag", "apple/coremltools#523"),
    Rule("N3.3", "error", updatable_layers.weights_flagged, "set weights.isUpdatable"),
    Rule("N3.4", "error", updatable_layers.bias_flagged, "set bias.isUpdatable"),
    Rule(
        "N3.5",
        "error",
        updatable_layers.weights_not_quantized,
        "mark the model again, which widens them",
        "apple/coremltools#604",
    ),
    Rule("N4.1", "error", updatable_layers.names_distinct, "rename them"),
    Rule("N5.1", "error", loss.one_loss, "remove all but one"),
    Rule("N5.2", "error", loss.some_loss, "mark the model"),
    Rule("N5.3", "error", loss.loss_kind, "set its kind"),
    Rule(
        "N5.4", "error", loss.cross_entropy_reads_softmax, "mark the model, which repairs it", "apple/coremltools#1705"
    ),
    Rule("N5.6", "error", loss.target_is_no_blob, "rename it"),
    Rule("N5.7", "error", loss.squared_error_reads_layer, "name the last blob"),
    Rule("N6.1", "error", loss.gradient_reaches_layers, "mark only layers behind that one", "apple/coremltools#1705"),
    Rule("N7.1", "error", parameters.optimizer_set, "mark the model"),
    Rule("N7.2", "error", parameters.sgd_complete, "set them"),
    Rule("N7.3", "error", parameters.adam_complete, "set them"),
    Rule("N7.4", "error", parameters.epochs_set, "set epochs"),
    Rule("N7.6", "error", parameters.real_defaults_in_range, "widen the range or change the default"),
    Rule("N7.9", "error", parameters.counts_positive, "change the default"),
    Rule(
        "N7.10", "error", parameters.counts_in_set, "add the default to the set, or change it", "apple/coremltools#604"
    ),
    Rule("N7.11", "error", parameters.sets_positive, "leave it out of the set"),
    Rule("N7.12", "error", parameters.counts_in_range, "widen the range or change the default"),
    Rule("N7.14", "error", parameters.seed_in_range, "widen what is allowed, or change the default"),
    Rule("N8.1", "error", training_inputs.two_training_inputs, "list the input and the label"),
    Rule("N8.2", "error", training_inputs.one_is_an_input, "copy the input's description"),
    Rule("N8.3", "error", training_inputs.one_is_a_target, "add the label"),
    Rule("N8.4", "error", training_inputs.plain_target, "add a feature of that name"),
    Rule("N8.5", "error", training_inputs.classifier_target, "add the label"),
    Rule("N8.6", "error", training_inputs.label_type, "copy the output's description"),
    Rule("L1.7", "warning", lint_update.training_inputs_typed, "describe it"),
    Rule(
        "L3.7", "warning", lint_weights.all_32_bit, "mark the model again, which widens them", "apple/coremltools#604"
    ),
    Rule(
        "L3.6",
        "warning",
        lint_weights.none_quantized,
        "lay the model out as a pipeline, or export floats",
        "apple/coremltools#604",
    ),
    Rule("L3.11", "warning", lint_network.layers_reach_loss, "clear its flag"),
    Rule("L7.7", "warning", lint_update.values_sensible, "change the default"),
    Rule("L7.8", "warning", lint_update.momentum_in_range, "change the default"),
    Rule("L7.11", "warning", lint_update.whole_sets_positive, "leave it out"),
    Rule("L7.13", "warning", lint_update.one_photo_enough, "widen the set or range", "apple/coremltools#517"),
    Rule("L8.7", "warning", lint_update.label_is_target, "mark the model again"),
    Rule("L8.9", "warning", lint_update.inputs_listed, "copy the input's description"),
    Rule(
        "L557",
        "warning",
        lint_update.target_is_no_picture,
        "describe it as an array of the shape that the network answers",
        "apple/coremltools#557",
    ),
    Rule("L11.10", "warning", lint_network.batchnorm_on_path, "fold it into the layer", "apple/coremltools#492"),
    Rule("L486", "warning", first_step.first_step_small, "lower the learning rate", "apple/coremltools#486"),
    Rule("L490", "warning", lint_network.stacked_convolutions, "mark only the last one", "apple/coremltools#490"),
    Rule(
        "L2074",
        "warning",
        lint_network.no_wide_expansion,
        "mark the model again, which writes a reshapeStatic where the shape is fixed",
        "apple/coremltools#2074",
    ),
    Rule(
        "L2048",
        "warning",
        lint_network.states_not_answered,
        "compile it in Xcode before you build on it",
        "apple/turicreate#2048",
    ),
    Rule(
        "L1983", "warning", lint_network.squared_error_on_linear_head, "add a sigmoid or ReLU", "apple/coremltools#1983"
    ),
)
NEAREST_NEIGHBORS = (
    Rule(
        "K9.1",
        "error",
        nearest_neighbors.neighbors_allowed,
        "change the default, or widen what is allowed",
        "apple/coremltools#415",
    ),
    Rule("K9.3", "error", nearest_neighbors.weighting_set, "set one"),
    Rule("K9.4", "error", nearest_neighbors.index_set, "set one"),
    Rule("K9.5", "error", nearest_neighbors.leaf_size, "use 30"),
    Rule("K9.6", "error", nearest_neighbors.distance_set, "set it"),
    Rule("K9.7", "error", nearest_neighbors.default_label_kind, "use strings for both, or integers"),
    Rule("K9.8", "error", nearest_neighbors.default_label_set, "set a default label"),
    Rule("K9.9", "error", nearest_neighbors.one_label_a_sample, "mend the labels"),
    Rule("K9.10", "error", nearest_neighbors.sample_lengths, "remove the sample"),
    Rule(
        "K9.12",
        "error",
        nearest_neighbors.neighbors_label_output,
        "name the label's output, with the type of the labels",
    ),
    Rule("K9.16", "error", nearest_neighbors.neighbors_probabilities, "name the output that holds the probabilities"),
    Rule("L9.8", "warning", nearest_neighbors.default_label_given, "set a default label"),
    Rule("L9.10", "warning", nearest_neighbors.samples_finite, "remove the sample"),
    Rule(
        "L9.11",
        "warning",
        nearest_neighbors.dimensions_fit,
        "set it to the length of the input",
        "apple/coremltools#913",
    ),
    Rule(
        "L9.13",
        "warning",
        nearest_neighbors.one_vector_input,
        "let an extractor end in a squeeze or reshapeStatic before it",
        "apple/coremltools#1122",
    ),
    Rule(
        "L9.14",
        "warning",
        nearest_neighbors.neighbors_training_inputs,
        "copy the descriptions of the input and of the label",
    ),
)
PIPELINE = (
    Rule("P10.1", "error", pipeline.some_member, "add its members"),
    Rule(
        "P10.2", "error", pipeline.members_fed, "rename the feature, or copy its description", "apple/coremltools#1018"
    ),
    Rule("P10.4", "error", pipeline.outputs_made, "rename the feature, or copy its description"),
    Rule("P10.5", "error", pipeline.last_updatable, "mark it"),
    Rule("P10.6", "error", pipeline.only_last_updatable, "clear isUpdatable"),
    Rule("P10.7", "error", pipeline.none_updatable, "set the flag"),
    Rule("P10.9", "error", pipeline.member_names, "name every member, or none"),
    Rule(
        "L10.11",
        "warning",
        nearest_neighbors.neighbors_training_inputs,
        "copy the descriptions of the input and of the label",
    ),
    Rule("L10.13", "warning", nearest_neighbors.last_member_fed, "copy its description", "apple/coremltools#2205"),
    Rule("L10.12", "warning", nearest_neighbors.pipeline_names_output, "name the label"),
)
OTHER = (
    Rule("M12.1", "error", other_features.other_features, "copy the descriptions from a model of that kind"),
    Rule("M12.2", "error", other_parameters.other_parameters, "export the model again"),
    Rule("L12.3", "warning", lint_machines.vectors_alike, "export the model again"),
    Rule("L12.4", "warning", lint_machines.offsets_fit, "export the model again"),
    Rule("L12.5", "warning", lint_machines.probabilities_made, "train it with probabilities, and export it again"),
    Rule("L12.6", "warning", lint_machines.method_set, "set pickTop"),
    Rule("L12.7", "warning", lint_machines.ranges_agree, "give both the same range"),
)
RULES = (*MODEL, *NETWORK, *CLASSIFIER, *REGRESSOR, *UPDATABLE_NETWORK, *NEAREST_NEIGHBORS, *PIPELINE, *OTHER)
