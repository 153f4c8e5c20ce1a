"""Just enough of the Kubernetes API for helm: which kinds there are, and objects by name. Nothing is written.

It is no cluster: what one would do with the chart is not tried anywhere here.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Object = Mapping[str, Any]


def _plural(kind: str) -> str:
    return kind.lower().removesuffix("y") + ("ies" if kind.endswith("y") else "es" if kind.endswith("s") else "s")


def _answers(known: Iterable[Object], there: Iterable[Object]) -> dict[str, Any]:
    """Return what is answered at each path: *known* objects tell which kinds there are, those of *there* are found."""
    kinds: dict[str, set[str]] = {}
    for each in known:
        kinds.setdefault(each["apiVersion"], set()).add(each["kind"])
    answers: dict[str, Any] = {
        "/version": {"major": "1", "minor": "31", "gitVersion": "v1.31.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
    }
    groups = []
    for version, names in kinds.items():
        listed = [{"name": _plural(kind), "namespaced": True, "kind": kind, "verbs": ["get"]} for kind in sorted(names)]
        answers[_root(version)] = {"kind": "APIResourceList", "groupVersion": version, "resources": listed}
        if "/" in version:
            one = {"groupVersion": version, "version": version.partition("/")[2]}
            groups.append({"name": version.partition("/")[0], "versions": [one], "preferredVersion": one})
    answers["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    for each in there:
        place = f"{_root(each['apiVersion'])}/namespaces/default/{_plural(each['kind'])}/{each['metadata']['name']}"
        answers[place] = each
    return answers


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


@contextmanager
def serving(folder: Path, known: Iterable[Object], there: Iterable[Object]) -> Iterator[Path]:
    """Serve them, and yield a kubeconfig in *folder* that leads there."""
    answers = _answers(known, there)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(found or missing).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the name of the one it overrides
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = folder / "kubeconfig"
        config.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                    "users": [{"name": "a", "user": {}}],
                    "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                    "current-context": "a",
                }
            )
        )
        try:
            yield config
        finally:
            server.shutdown()
