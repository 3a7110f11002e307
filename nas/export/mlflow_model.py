"""The MLflow form: a pyfunc model from code, without pickles and without this package."""

from __future__ import annotations

from pathlib import Path

from nas import runtime

_MODEL = '''

class _Model(mlflow.pyfunc.PythonModel):
    """The network as MLflow calls it; ``params={"probabilities": True}`` asks for probabilities."""

    def load_context(self, context):
        self.network = load_network(context.artifacts["network"])

    def predict(self, context, model_input: pandas.DataFrame, params=None):
        if (params or {}).get("probabilities"):
            return self.network.predict_proba(model_input)
        return self.network.predict(model_input)


mlflow.models.set_model(_Model())
'''


def write_model_code(folder: Path) -> Path:
    """Write the model's code into a folder: `nas.runtime` and what MLflow asks for around it.

    The file needs NumPy, MLflow and the pandas that MLflow brings; the network's own two files are
    its artifact "network".
    """
    source = Path(runtime.__file__).read_text(encoding="utf-8")
    future = "from __future__ import annotations\n"
    source = source.replace(future, f"{future}\nimport mlflow\nimport pandas\n", 1)
    path = folder / "model_code.py"
    path.write_text(source + _MODEL, encoding="utf-8")
    return path
