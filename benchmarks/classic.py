"""The workflow of the classic tutorial: install on the runner, test there, and have each server pull and build for itself."""

import re
import shutil
from pathlib import Path

import actions
import servers
from service import free_port

from .workbench import PACKAGE, SLUG

# A server of the tests, with what this way needs there.
SERVER = f"{SLUG}-classic-server"
SERVER_DOCKERFILE = f"""
FROM {servers.IMAGE}
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends docker-buildx docker-compose git
"""

# Packages first, so that a change of the source installs none.
DOCKERFILE = f"""
FROM BASE
WORKDIR /app
ENV PATH=/venv/bin:$PATH FLASK_APP={PACKAGE} PROMETHEUS_MULTIPROC_DIR=/tmp/metrics PYTHONPATH=/app/src
COPY requirements.txt .
RUN python -m venv /venv && pip install --no-cache-dir -r requirements.txt
COPY . .
CMD ["sh", "-c", "flask db upgrade && exec gunicorn"]
"""

COMPOSE = f"""
services:
  web:
    build: {{context: ., dockerfile: Dockerfile.classic}}
    env_file: .env
    environment: &environment
      REDIS_URL: redis://redis:6379/0
      PARITY: warn
      WEB_CONCURRENCY: 2
    depends_on: [postgres, redis]
    restart: unless-stopped
  worker:
    build: {{context: ., dockerfile: Dockerfile.classic}}
    command: celery --quiet --app {PACKAGE}.worker worker
    env_file: .env
    environment: *environment
    depends_on: [postgres, redis]
    restart: unless-stopped
  postgres:
    image: postgres:18
    environment:
      POSTGRES_DB: {PACKAGE}
      POSTGRES_USER: {PACKAGE}
      POSTGRES_PASSWORD: ${{POSTGRES_PASSWORD}}
    volumes: [postgres:/var/lib/postgresql]
    restart: unless-stopped
  redis:
    image: redis:8
    restart: unless-stopped
  caddy:
    image: caddy:2
    command: caddy reverse-proxy --from ${{DOMAIN}} --to web:8000 --internal-certs
    ports: ["80:80", "443:443"]
    volumes: [caddy:/data]
    restart: unless-stopped
volumes:
  postgres:
  caddy:
"""

# The tests that need the image, its stack or its repository's other files cannot run on the runner.
WORKFLOW = f"""
name: {SLUG}-classic
on:
  push:
    branches: [main]
jobs:
  test:
    runs-on: ubuntu-latest
    services:
      postgres:
        image: postgres:18
        env:
          POSTGRES_USER: test
          POSTGRES_PASSWORD: test
        ports: ["POSTGRES_PORT:5432"]
        options: --health-cmd pg_isready --health-interval 1s --health-retries 30
      redis:
        image: redis:8
        ports: ["REDIS_PORT:6379"]
    env:
      DATABASE_URL: postgresql://test:test@127.0.0.1:POSTGRES_PORT/test
      REDIS_URL: redis://127.0.0.1:REDIS_PORT/0
      API_TOKENS: test:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
      PARITY: warn
      FLASK_APP: {PACKAGE}
      PYTHONPATH: src
      PROMETHEUS_MULTIPROC_DIR: /tmp/metrics
    steps:
      - name: Check out the commit
        uses: actions/checkout@v4
      - name: Install the packages
        run: |
          python3 -m venv /tmp/venv
          /tmp/venv/bin/pip install --quiet -r requirements.txt -r requirements-dev.txt
      - name: Run the tests
        run: |
          mkdir -p /tmp/metrics
          . /tmp/venv/bin/activate
          flask db upgrade
          pytest -q tests --deselect tests/test_jobs.py::test_a_new_user_is_welcomed
"""
JOB = """
  ENVIRONMENT:
    needs: NEEDS
    runs-on: ubuntu-latest
    steps:
      - name: Pull and build on the server
        env:
          DEPLOY_KEY: ${{ secrets.DEPLOY_KEY }}
        run: |
          install -D -m 600 /dev/stdin ~/.ssh/key <<<"$DEPLOY_KEY"
          ssh -i ~/.ssh/key -o StrictHostKeyChecking=no -p PORT deploy@127.0.0.1 'cd app && git pull --quiet && docker compose --file docker-compose.yml up --detach --build'
"""


def base(path: Path) -> str:
    """Return the image that a generated service is built on."""
    return re.search(r"^FROM (\S+) AS python$", (path / "Dockerfile").read_text(), re.MULTILINE)[1]


def write(path: Path, chosen: dict[str, servers.Server]) -> None:
    """Give a generated service this way, to servers by environment."""
    # The service reads what its own Dockerfile and compose.yaml state, and needs them to start.
    (path / "Dockerfile.classic").write_text(DOCKERFILE.replace("BASE", base(path)))
    (path / "docker-compose.yml").write_text(COMPOSE)
    (path / ".dockerignore").unlink()
    shutil.rmtree(path / ".github")
    jobs, needs = WORKFLOW, "test"
    for port in ("POSTGRES_PORT", "REDIS_PORT"):
        jobs = jobs.replace(port, str(free_port()))
    for environment, server in chosen.items():
        jobs += (
            JOB.replace("ENVIRONMENT", environment)
            .replace("NEEDS", needs)
            .replace("PORT", str(server.ssh_port))
        )
        needs = environment
    (path / actions.WORKFLOW).parent.mkdir(parents=True)
    (path / actions.WORKFLOW).write_text(jobs)
