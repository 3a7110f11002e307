"""MLflow's server as ``nas ui`` runs it: a single process, and a start page that opens the training pages.

Run as a program of its own, ``python -m nas.tracking.mlflow_server PORT``, with the store's address in
``MLFLOW_BACKEND_STORE_URI``. The command ``mlflow ui`` takes two processes and twice as long to start, and
its pages are in the mode for language models wherever an address does not say otherwise: after each click.
"""

from __future__ import annotations

import os
import sys
import warnings

from nas.tracking.pages import START

_PAGE = """<!DOCTYPE html>
<title>MLflow</title>
<script>
localStorage.setItem("mlflow.workflowType_v1", '"machine_learning"');
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
location.replace("/" + location.hash);
</script>
"""
"""The start page: it remembers in the browser that MLflow's pages are those for the training of models, and
that the panel of its assistant was open once, and goes on to the page behind the #."""


def serve(uri: str, port: int) -> None:
    """Serve MLflow's pages of a database on loopback, until the process is ended."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    from mlflow.server import constants

    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: uri,
        constants.REGISTRY_STORE_URI_ENV_VAR: uri,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: "./mlartifacts",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    from mlflow.server.fastapi_app import app
    from mlflow.server.handlers import initialize_backend_stores

    initialize_backend_stores(uri, uri, "mlflow-artifacts:/")

    import uvicorn
    from starlette.requests import Request
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    def start(_: Request) -> HTMLResponse:
        return HTMLResponse(_PAGE)

    app.router.routes.insert(0, Route(START, start))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(os.environ["MLFLOW_BACKEND_STORE_URI"], int(sys.argv[1]))
