"""Packages that are not public: an index and git repositories that ask who is there, reachable from the builds of images."""

import base64
import io
import os
import subprocess
import threading
import zipfile
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

USER, PASSWORD = "reader", "hush-hush-hush"


@dataclass
class Elsewhere:
    """A folder, served: simple/NAME/FILE is the index, git/NAME.git the repositories."""

    folder: Path
    server: ThreadingHTTPServer

    @property
    def url(self) -> str:
        """Where builds reach it."""
        return "http://{}:{}".format(*self.server.server_address)

    @property
    def netrc(self) -> str:
        """What says who may read."""
        return f"machine {self.server.server_address[0]} login {USER} password {PASSWORD}\n"

    def publish(self, name: str, version: str) -> None:
        """Add a package to the index."""
        wheel(self.folder / "simple" / name, name, version)

    def push(self, name: str, version: str) -> str:
        """Make a repository with a package, tag the version, and return the commit."""
        work = self.folder / "work" / name
        work.mkdir(parents=True)
        module = name.replace("-", "_")
        (work / f"{module}.py").write_text(f'VERSION = "{version}"\n')
        (work / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n\n'
            f'[project]\nname = "{name}"\nversion = "{version}"\n\n[tool.setuptools]\npy-modules = ["{module}"]\n'
        )
        bare = self.folder / "git" / f"{name}.git"
        for command in (
            ["init", "--quiet", "--initial-branch=main"],
            ["add", "--all"],
            ["commit", "--quiet", f"--message={version}"],
            ["tag", f"v{version}"],
            ["clone", "--quiet", "--bare", str(work), str(bare)],
        ):
            subprocess.run(["git", *command], cwd=work, check=True)
        shown = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=work, check=True, capture_output=True, text=True
        )
        return shown.stdout.strip()


def wheel(folder: Path, name: str, version: str) -> Path:
    """Write a wheel with a module that says its version."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    metadata = f"{module}-{version}.dist-info"
    file = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{module}.py", f'VERSION = "{version}"\n')
        archive.writestr(f"{metadata}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{metadata}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{metadata}/RECORD", "")
    return file


def serve(folder: Path, address: str) -> Elsewhere:
    """Serve a folder to those who say who they are, until the server is shut down."""
    expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            file = folder / path.strip("/")
            if self.headers.get("Authorization") != expected:
                self.answer(401, {"WWW-Authenticate": 'Basic realm="packages"'})
            elif path.startswith("/git/"):
                self.answer(*self.git(path.removeprefix("/git"), query))
            elif file.is_dir():
                links = "".join(f'<a href="{each.name}">{each.name}</a>' for each in sorted(file.iterdir()))
                self.answer(200, {"Content-Type": "text/html"}, links.encode())
            elif file.is_file():
                self.answer(200, {"Content-Type": "application/octet-stream"}, file.read_bytes())
            else:
                self.answer(404, {})

        do_HEAD = do_POST = do_GET

        def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
            self.send_response(status)
            for key, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def git(self, path: str, query: str) -> tuple[int, dict[str, str], bytes]:
            given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = {
                "GIT_PROJECT_ROOT": str(folder / "git"),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(given)),
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REMOTE_USER": USER,
                "REQUEST_METHOD": self.command,
            }
            done = subprocess.run(
                ["git", "http-backend"], input=given, env=os.environ | asked, capture_output=True, check=True
            )
            answer = io.BytesIO(done.stdout)
            headers: dict[str, str] = {}
            while line := answer.readline().strip().decode():
                key, _, value = line.partition(": ")
                headers[key] = value
            return int(headers.pop("Status", "200").split()[0]), headers, answer.read()

    server = ThreadingHTTPServer((address, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return Elsewhere(folder, server)
