"""The engines that siblings are made for; recipes and the command line know their names without loading any."""

ENGINE_NAMES = ("onnxruntime", "executorch")
EXTRAS = {"executorch": (), "onnxruntime": ("fast",)}  # of this package, by engine
